package swap

import "testing"

// Every pair is explicit: it has an action, or a reason for having none.
func TestEveryPairIsExplicit(t *testing.T) {
	for s, row := range generationActions {
		for k, do := range row {
			if do == nil {
				t.Errorf("generation %v, event %v: no entry", State(s), GenerationKind(k))
			}
		}
	}
	for s, row := range rolloutActions {
		for k, do := range row {
			if do == nil {
				t.Errorf("rollout %v, event %v: no entry", rolloutState(s), rolloutKind(k))
			}
		}
	}
	for s, row := range sideActions {
		for k, do := range row {
			if do == nil {
				t.Errorf("side in state %d, event %d: no entry", s, k)
			}
		}
	}
	for p, row := range containerActions {
		for k, do := range row {
			if do == nil {
				t.Errorf("phase %d, event %v: no entry", p, ContainerKind(k))
			}
		}
	}
}

func TestNames(t *testing.T) {
	for s := State(0); s < numStates; s++ {
		if s.String() == "" || s.String() == "unknown" {
			t.Errorf("state %d has no name", s)
		}
	}
	if numStates.String() != "unknown" {
		t.Error("what does not exist has a name")
	}
	for k := GenerationKind(0); k < numGenerationKinds; k++ {
		if k.String() == "" {
			t.Errorf("event %d of a generation has no name", k)
		}
	}
	for k := ContainerKind(0); k < numContainerKinds; k++ {
		if k.String() == "" {
			t.Errorf("event %d of the container has no name", k)
		}
	}
}

var rolloutKindNames = [numRolloutKinds]string{"requested", "hooked", "back", "cancelled", "promoted", "begins", "due", "risen", "settled", "proved", "late",
	"failing", "rejected", "worker-gone", "restarted", "whole", "active-ended", "successor-ended", "survived", "gone", "wants", "released",
	"granted", "denied", "lost", "regained", "called"}

func (k rolloutKind) String() string { return rolloutKindNames[k] }
