package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The fields of status --json at the gate and in a member, as docs/gate.md has them: each
// is always there.
func TestGateStatus(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", []string{"SWAPINIT_KEEP=1h", "SWAPINIT_RELEASE=v1"})
	b := g.member("b", []string{"SWAPINIT_RELEASE=v2"})
	g.wait("v2")
	fields := func(text string, path ...string) []string {
		t.Helper()
		var at any
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		for _, name := range path {
			if list, ok := at.([]any); ok {
				at = list[0]
			}
			at = at.(map[string]any)[name]
		}
		if list, ok := at.([]any); ok {
			at = list[0]
		}
		object, ok := at.(map[string]any)
		if !ok {
			t.Fatalf("no object at %q in %s", path, text)
		}
		return slices.Sorted(maps.Keys(object))
	}
	has := func(text, want string, path ...string) {
		t.Helper()
		got := fields(text, path...)
		for _, name := range strings.Fields(want) {
			if !slices.Contains(got, name) {
				t.Errorf("no %s at %q, there are %q", name, path, got)
			}
		}
	}
	text := g.Verb("status", "--json").Stdout
	has(text, "v pid ready gate endpoints")
	has(text, "epoch holder members last_takeover", "gate")
	has(text, "container release order state since_ms reason connected settled share open idle queued", "gate", "members")
	has(text, "container release predecessor reason ago_ms waited drained reset", "gate", "last_takeover")
	has(text, "name address inherited adopted steered reason", "endpoints")
	text = b.Verb("status", "--json").Stdout
	has(text, "v pid ready generations endpoints last_swap joined")
	has(text, "gate role away_ms", "joined")
	s := g.look()
	if s.states() != "a:kept b:holder" || s.Gate.Members[0].Release != "v2" || s.Gate.Members[0].Order != 2 || *s.ofShare("b") != 100 || *s.ofShare("a") != 0 {
		t.Errorf("the gate has %+v", s.Gate)
	}
	if at := b.status().Joined; at.Gate != g.socket() || at.Role != "holder" || at.AwayMS != nil {
		t.Errorf("the member is %+v", at)
	}
	table := g.Verb("status").Stdout
	inOrder(t, table, "RELEASE", "CONTAINER", "STATE", "SHARE", "v2", "holder", "100%", "v1", "kept", "last takeover: v2")
}
