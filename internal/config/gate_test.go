package config

import (
	"testing"
	"time"
)

// What a container has that has joined a gate, and what a gate is.
func TestGateSettings(t *testing.T) {
	joined := mustLoad(t, []string{"SWAPINIT_GATE=/gate/gate.sock"}, []string{"x"})
	if joined.Keep != time.Minute || joined.StopDrain != 8*time.Second {
		t.Errorf("joined: keep %v, stop drain %v, want 1m and 8s", joined.Keep, joined.StopDrain)
	}
	set := mustLoad(t, []string{"SWAPINIT_GATE=/gate/gate.sock", "SWAPINIT_KEEP=0", "SWAPINIT_STOP_DRAIN=0"}, []string{"x"})
	if set.Keep != 0 || set.StopDrain != 0 {
		t.Errorf("joined, set to 0: keep %v, stop drain %v", set.Keep, set.StopDrain)
	}
	alone := mustLoad(t, nil, []string{"x"})
	if alone.Gate != "" || alone.Keep != 0 || alone.StopDrain != 0 || alone.AsGate {
		t.Errorf("alone: gate %q, keep %v, stop drain %v", alone.Gate, alone.Keep, alone.StopDrain)
	}
	_, err := Load([]string{"SWAPINIT_GATE=/gate/gate.sock", "SWAPINIT_LISTEN=:8080"}, []string{"x"}, testParsers())
	wantError(t, err, `SWAPINIT_LISTEN=":8080": `, "/gate/gate.sock")

	p := testParsers()
	p.Gate = true
	s, err := Load([]string{"SWAPINIT_LISTEN=:8080"}, nil, p)
	if err != nil || !s.AsGate || s.Gate != "/gate/gate.sock" {
		t.Errorf("a gate: %+v, %v", s, err)
	}
	if _, err = Load(nil, nil, p); err == nil {
		t.Error("a gate without an endpoint is accepted")
	} else {
		wantError(t, err, "SWAPINIT_LISTEN", "a gate needs an endpoint")
	}
	if _, err = Load([]string{"SWAPINIT_LISTEN=:8080"}, []string{"sleep"}, p); err == nil {
		t.Error("a gate with a command is accepted")
	} else {
		wantError(t, err, `gate takes no arguments, and got "sleep": it starts nothing`)
	}
	// The image of the gate has it in its ENTRYPOINT.
	if _, err = Load([]string{"SWAPINIT_LISTEN=:8080"}, []string{"gate"}, p); err == nil {
		t.Error("a gate with a gate is accepted")
	} else {
		wantError(t, err, `and got "gate"`, "ENTRYPOINT has it already")
	}
}
