package dispatch

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockLearnsHowFarItIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		if at := time.Now(); !c.local(at).Equal(at) {
			t.Error("a clock that has learnt nothing changes times")
		}
		c.learn(time.Now().Add(-time.Hour - 3*time.Second)) // three seconds late
		c.learn(time.Now().Add(-time.Hour))                 // at once
		c.learn(time.Now().Add(-time.Hour - 9*time.Second))
		if got := c.ahead(); got != time.Hour {
			t.Errorf("ahead by %v, want 1h: the freshest event tells it best", got)
		}
		at := time.Now()
		if got := c.logged(c.local(at)); !got.Equal(at) {
			t.Errorf("there and back gives %v, want %v", got, at)
		}
		c.learn(time.Now().Add(time.Hour)) // the other clock is ahead
		if got := c.ahead(); got != -time.Hour {
			t.Errorf("ahead by %v, want -1h", got)
		}
	})
}

func TestClockForgetsAGuess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.learn(time.Now())
		for range 3 { // this machine's clock jumped ahead: events look old from now on
			<-time.After(clockWindow + time.Second)
			c.learn(time.Now().Add(-time.Hour))
		}
		if got := c.ahead(); got != time.Hour {
			t.Errorf("ahead by %v, want 1h", got)
		}
	})
}
