package awake

import (
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
)

func TestOverslept(t *testing.T) {
	if began := clock.Now(); Overslept(began, time.Hour) || Overslept(began.Add(-time.Hour), time.Hour) {
		t.Error("in time is too late")
	}
	if !Overslept(clock.Now().Add(-time.Hour-2*Slack), time.Hour) {
		t.Error("too late is in time")
	}
}

func TestAfter(t *testing.T) {
	<-After(time.Millisecond)
	select {
	case <-After(time.Hour):
		t.Error("an hour has passed")
	default:
	}
}
