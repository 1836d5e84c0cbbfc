package swap

import "testing"

// Every pair is explicit: it has an action, or a reason for having none.
func TestEveryPairIsExplicit(t *testing.T) {
	for s := State(0); s < numStates; s++ {
		for k := GenerationKind(0); k < numGenerationKinds; k++ {
			a := generationActions[s][k]
			if (a.do == nil) == (a.why == "") {
				t.Errorf("generation %v, event %v: want an action or a reason, have action %v, reason %q", s, k, a.do != nil, a.why)
			}
		}
	}
	for p := Phase(0); p < numPhases; p++ {
		for k := ContainerKind(0); k < numContainerKinds; k++ {
			a := containerActions[p][k]
			if a.do == nil {
				t.Errorf("phase %d, event %v: no entry", p, k)
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
