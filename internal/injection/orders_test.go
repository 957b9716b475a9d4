package injection_test

import (
	"context"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/injection"
)

func made(id string) injection.Order {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return injection.Order{ID: id, Tool: "a.b", Kind: injection.Fault, Class: "timeout", Acted: injection.Before, Rate: 1, By: "mia", Made: now, Until: now.Add(time.Hour)}
}

// TestOrders: what is added is heard at once by whoever follows, who may have begun before there was a bucket; what is no
// order is passed over.
func TestOrders(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	orders := injection.Of(b)
	if all, err := orders.List(t.Context()); err != nil || all != nil {
		t.Fatal(all, err)
	}
	if none, err := b.BucketIfThere(t.Context(), b.Names().FaultsBucket()); none != nil || err != nil {
		t.Fatal("a list has made a bucket", err)
	}
	heard := make(chan []injection.Order, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go orders.Follow(ctx, func(all []injection.Order) { heard <- all }, func(err error) { t.Error(err) })
	one, two := made("one"), made("two")
	two.Made, two.Worker = two.Made.Add(-time.Second), "w 1/x" // not a name that a key may have
	for _, o := range []injection.Order{one, two} {
		if err := orders.Add(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	await(t, heard, "two", "one")
	wrong := made("wrong")
	wrong.Rate = 7
	if err := orders.Add(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	bucket, err := b.Bucket(t.Context(), b.Names().FaultsBucket(), "")
	if err != nil {
		t.Fatal(err)
	}
	put(t, bucket, "fault.text", "no order")
	put(t, bucket, "fault.other", `{"id":"one"}`)
	if err := orders.Remove(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	await(t, heard, "one")
	all, err := orders.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "one" || !all[0].Until.Equal(one.Until) {
		t.Error(all, err)
	}
}

func put(t *testing.T, b *bus.Bucket, key, value string) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte(value), nil); err != nil {
		t.Fatal(err)
	}
}

// await waits until exactly these orders are known.
func await(t *testing.T, heard <-chan []injection.Order, ids ...string) {
	t.Helper()
	var last []injection.Order
	for end := time.After(time.Minute); ; {
		select {
		case last = <-heard:
		case <-end:
			t.Fatalf("%v are not heard of; the last ones are %+v", ids, last)
		}
		same := len(last) == len(ids)
		for i := range last {
			same = same && last[i].ID == ids[i]
		}
		if same {
			return
		}
	}
}
