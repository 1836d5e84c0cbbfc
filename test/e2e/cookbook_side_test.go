//go:build linux

package e2e

import (
	"encoding/json"
	"testing"
)

// cookbookSide: what runs beside the server is as it was after swaps, but for the restart
// that the page asks for, and its job has run.
func cookbookSide(t *testing.T, r *cookbookRun) {
	t.Helper()
	var before, after struct {
		Sides []struct{ Name, Pid, Restarts any }
	}
	look := func(to any) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.try("/swapinit", "status", "--json").Stdout), to); err != nil {
			t.Fatal(err)
		}
	}
	look(&before)
	r.swaps()
	look(&after)
	if len(after.Sides) != 1 || after.Sides[0] != before.Sides[0] || after.Sides[0].Restarts != 1.0 {
		t.Errorf("sides were %v, and are %v", before.Sides, after.Sides)
	}
	dockerEventually(t, "a job of cron", func() bool {
		out, _ := r.logs()
		return out != ""
	})
}
