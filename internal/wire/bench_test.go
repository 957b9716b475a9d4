package wire

import "testing"

// BenchmarkDecodeEvents reads what is not in the exact form that is read by hand.
func BenchmarkDecodeEvents(b *testing.B) {
	for _, name := range []string{"started", "claimed", "failed", "approved", "decided", "fired", "closed"} {
		b.Run(name, func(b *testing.B) {
			kind, body, err := EncodeEvent(events[name])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeEvent(kind, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeSubmitted(b *testing.B) {
	kind, body, err := EncodeEvent(submission())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(kind, body); err != nil {
			b.Fatal(err)
		}
	}
}
