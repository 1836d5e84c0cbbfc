package swap

import "testing"

// Every pair is explicit: it has an action, or a reason for having none.
func TestEveryPairIsExplicit(t *testing.T) {
	for s := State(0); s < numStates; s++ {
		for k := Kind(0); k < numGenerationKinds; k++ {
			a := generationActions[s][k]
			if (a.do == nil) == (a.why == "") {
				t.Errorf("generation %v, event %v: want an action or a reason, have action %v, reason %q", s, k, a.do != nil, a.why)
			}
		}
	}
	for p := Phase(0); p < numPhases; p++ {
		for k := numGenerationKinds; k < numKinds; k++ {
			a := containerActions[p][k-numGenerationKinds]
			if a.do == nil {
				t.Errorf("phase %d, event %v: no entry", p, k)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for k := Kind(0); k < numKinds; k++ {
		if k.String() == "" || k.String() == "unknown" {
			t.Errorf("event %d has no name", k)
		}
	}
	for s := State(0); s < numStates; s++ {
		if s.String() == "" || s.String() == "unknown" {
			t.Errorf("state %d has no name", s)
		}
	}
	if numKinds.String() != "unknown" || numStates.String() != "unknown" {
		t.Error("what does not exist has a name")
	}
	if OpExit.String() != "exit" {
		t.Errorf("the list of effects and the list of their names differ: the last is %q", OpExit.String())
	}
}
