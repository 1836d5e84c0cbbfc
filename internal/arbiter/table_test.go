package arbiter

import "testing"

// Every pair is explicit: it has an action, or a reason for having none.
func TestEveryPairIsExplicit(t *testing.T) {
	for s, row := range memberActions {
		for k, do := range row {
			if do == nil {
				t.Errorf("state %d, event %d: no entry", s, k)
			}
		}
	}
}
