package dispatch

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"
	"belay/internal/steps"
)
func TestZZ(t *testing.T) {
	r := newRigWith(t, "interval")
	doc := chain(5, tool(func(t *steps.Tool) { t.Timeout = steps.Duration(1e12) }))
	seen := &applied{}
	d := r.dispatcher(func(o *Options) { o.Observer = seen; o.Logger = slog.New(slog.DiscardHandler) })
	const n = 5000
	for i := range n { r.submitAsync(fmt.Sprintf("run-%d", i), doc) }
	r.eventually("x", func() bool { return seen.n.Load() == n && r.unacked() == 0 })
	d.stop()
	t0 := time.Now()
	d = r.dispatcher(func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)) })
	r.submitAsync("wake0", doc); r.submitAsync("wake1", doc); r.submitAsync("wake2", doc)
	r.eventually("y", func() bool {
		k := 0
		for _, p := range d.d.parts { ch := make(chan int,1); p.box.call(func(){ q:=0; for _, x := range p.runs { if x.fold != nil && x.out == 0 { q++ } }; ch <- q }); k += <-ch }
		return k >= n
	})
	fmt.Println("took", time.Since(t0))
}
