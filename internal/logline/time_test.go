package logline

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Now(), time.Date(2000, 2, 29, 23, 59, 59, 999999999, time.UTC), time.Date(2100, 3, 1, 0, 0, 0, 1, time.UTC)} {
		check(t, at)
	}
	for range 100000 {
		check(t, time.Unix(rand.Int64N(1<<36), rand.Int64N(1e9)))
	}
}

func check(t *testing.T, at time.Time) {
	if got, want := string(appendTime(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000000000Z"); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}
