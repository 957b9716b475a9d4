package bus

import (
	"context"
	"fmt"
	"testing"

	"belay/internal/wire"
)

func BenchmarkPublish(b *testing.B) {
	for _, durability := range []string{DurabilityFsync, DurabilityInterval} {
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
	_, bus := start(b, b.TempDir(), DurabilityInterval)
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
