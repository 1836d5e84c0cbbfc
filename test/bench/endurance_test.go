package main

import (
	"testing"
	"time"
)

func TestEnduranceTime(t *testing.T) {
	for _, tc := range []struct {
		swaps, connections int
		want               time.Duration
	}{
		{enduranceSwaps, enduranceConnections, enduranceLimit},
		{3, 1000, enduranceLimit},
		{10 * enduranceSwaps, 1000, 10 * enduranceLimit},
		{10, 10 * enduranceConnections, 10 * enduranceLimit},
		{10_000, 10_000_000, 5 * time.Hour},
	} {
		if got := enduranceTime(tc.swaps, tc.connections); got != tc.want {
			t.Errorf("%d swaps, %d connections: %v, want %v", tc.swaps, tc.connections, got, tc.want)
		}
	}
}
