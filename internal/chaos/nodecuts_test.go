package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// cut is what one partition of the network separates.
type cut struct {
	name string
	ways []way
}

// cuts are kinds of partitions, by turns: a server from the other two, both ways, and what it says to them or hears of them only; two
// servers from each other; a server from everybody; a dispatcher or worker from all servers; and all of them from one server.
func (c *nodes) cuts(i int, rnd *rand.Rand) cut {
	n := rnd.IntN(nodeCount)
	node, next, last := nodeName(n), nodeName((n+1)%nodeCount), nodeName((n+2)%nodeCount)
	program := c.members[rnd.IntN(len(c.members))].String()
	var toAll, toNode []way
	for k := range nodeCount {
		toAll = append(toAll, way{program, nodeName(k)})
	}
	for _, m := range c.members {
		toNode = append(toNode, way{m.String(), node})
	}
	others := []way{{node, next}, {node, last}}
	kinds := []cut{
		{node + " from the others", both(others)},
		{node + " is not heard by the others", others},
		{node + " does not hear the others", back(others)},
		{node + " from " + next, both(others[:1])},
		{node + " is not heard by " + next, others[:1]},
		{node + " from everybody", both(append(others, toNode...))},
		{program + " from all servers", both(toAll)},
		{program + " is not heard by any server", toAll},
		{program + " does not hear any server", back(toAll)},
		{"everybody from " + node, both(toNode)},
	}
	return kinds[i%len(kinds)]
}

func back(ways []way) (all []way) {
	for _, w := range ways {
		all = append(all, w.back())
	}
	return all
}

func both(ways []way) []way { return append(slices.Clone(ways), back(ways)...) }

// partitions cuts the network again and again.
func (c *nodes) partitions(t *testing.T) {
	if *nodePartitions == 0 {
		t.Skip("-chaos.partitions 0")
	}
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	rnd := rand.New(rand.NewPCG(first, 8))
	s := c.stream(t.Context(), "cut", everyRun)
	var after []time.Duration
	var quiet time.Duration
	for i := range *nodePartitions {
		length := 2 * time.Second
		if *nodePartitions > 1 {
			length = time.Second + time.Duration(rnd.Int64N(int64(29*time.Second)))
		}
		k := c.cuts(i, rnd)
		c.world.quiet()
		how := "held up"
		if rnd.IntN(4) == 0 {
			how = "refused"
			c.net.refuse(k.ways...)
		} else {
			c.net.hold(k.ways...)
		}
		pause(t.Context(), length)
		c.net.heal()
		led := c.led(t, -1, nil)
		took := led + c.goneOn(t, s, fmt.Sprint("healed", i))
		silent := c.world.quiet()
		after, quiet = append(after, took), max(quiet, silent)
		t.Logf("%d: %s, %s for %s: leaders %s afterwards, and a run that was submitted then ended after %s in all; nothing was paid for %s",
			i+1, k.name, how, length.Round(100*time.Millisecond), short(led), short(took), short(silent))
	}
	s.stop()
	slices.Sort(after)
	within, _ := slices.BinarySearch(after, 5*time.Second)
	t.Logf("seed %d, %d partitions: a run that was submitted afterwards ended within 5 s after %d of them, after %s in the middle and %s at most; nothing was paid for at most %s",
		first, len(after), within, short(after[len(after)/2]), short(after[len(after)-1]), short(quiet))
	if longest := after[len(after)-1]; longest > goesOnNode {
		t.Errorf("work went on only after %s", longest)
	}
	c.account(t, s, "partitions")
}
