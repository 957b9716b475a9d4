package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

func BenchmarkPublish(b *testing.B) {
	for _, durability := range []string{embedded.Fsync, embedded.Interval} {
		for _, depth := range []int{1, 64, 1000, 4000} {
			b.Run(fmt.Sprintf("%s/depth=%d", durability, depth), func(b *testing.B) { benchPublish(b, durability, depth) })
		}
	}
}

func benchPublish(b *testing.B, durability string, depth int) {
	_, bus := start(b, b.TempDir(), durability)
	slots := make(chan struct{}, depth)
	data := make([]byte, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		bus.Publish(bus.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%5000), Data: data}, func(_ uint64, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	for range depth {
		slots <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkReadLog(b *testing.B) {
	_, bus := start(b, b.TempDir(), embedded.Interval)
	p := wire.Partition("r", bus.Partitions())
	for range 8 {
		if _, err := bus.PublishWait(context.Background(), bus.Names().RunsStream(p), Message{Subject: bus.Names().Log(p, "r", wire.KindOutcome), Data: make([]byte, 256)}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if all, err := bus.ReadLog(context.Background(), "r", 0); err != nil || len(all) != 8 {
			b.Fatal(len(all), err)
		}
	}
}

// A run's eight entries among a hundred thousand of others.
func BenchmarkReadLogSpread(b *testing.B) {
	_, bus := start(b, b.TempDir(), embedded.Interval)
	p := wire.Partition("r", bus.Partitions())
	for range 8 {
		if _, errs := publishAll(bus, bus.Names().RunsStream(p), 12_500, func(i int) Message {
			run := "r"
			if i > 0 {
				run = fmt.Sprint("other", i%1000)
			}
			return Message{Subject: bus.Names().Log(p, run, wire.KindOutcome), Data: make([]byte, 256)}
		}); errors.Join(errs...) != nil {
			b.Fatal(errors.Join(errs...))
		}
	}
	for b.Loop() {
		if all, err := bus.ReadLog(context.Background(), "r", 0); err != nil || len(all) != 8 {
			b.Fatal(len(all), err)
		}
	}
}

func BenchmarkConsumeLog(b *testing.B) {
	for _, durability := range []string{embedded.Fsync, embedded.Interval} {
		b.Run(durability, func(b *testing.B) {
			_, bus := start(b, b.TempDir(), durability)
			message := func(i int) Message {
				return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%5000), Data: make([]byte, 256)}
			}
			if _, errs := publishAll(bus, bus.Names().RunsStream(0), b.N, message); errors.Join(errs...) != nil {
				b.Fatal(errors.Join(errs...))
			}
			b.ReportAllocs()
			b.ResetTimer()
			done, left := make(chan struct{}), b.N
			c, err := bus.ConsumeLog(context.Background(), 0, func(d Delivery) {
				if d.Ack() == nil && d.Count == 1 {
					left--
				}
				if left == 0 && d.Count == 1 {
					close(done)
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			c.Stop()
		})
	}
}
