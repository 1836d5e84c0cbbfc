package pid1

import (
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/swap"
)

func TestStrategies(t *testing.T) {
	for name, want := range map[string]swap.Strategy{
		"overlap": swap.Overlap, "handover": swap.Handover, "replace": swap.Replace, "": swap.Default, "Replace": swap.Default, "overlap, handover": swap.Default,
	} {
		if got := strategy(name); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
	accepted := ", accepted: " + strings.Join(swap.StrategyNames(), ", ")
	for _, c := range []struct{ strategy, canary, want string }{
		{"", "", ""},
		{"", "1%/10s", ""},
		{"overlap", "1%/10s", ""},
		{"replace", "", ""},
		{"replace", "1%/10s", "a canary needs the strategy overlap"},
		{"handover", "1%/10s", "a canary needs the strategy overlap"},
		{"Replace", "", `unknown strategy "Replace"` + accepted},
		{"overlap, handover", "", `unknown strategy "overlap, handover"` + accepted},
		{"a\x1b012345678901234567890123456789012345678901234567890", "", `unknown strategy "a\x1b01234567890123456789012345678901234567"…` + accepted},
	} {
		if got := StrategyProblem(control.SwapArgs{Strategy: c.strategy, Canary: c.canary}); got != c.want {
			t.Errorf("%q with %q: %s, want %s", c.strategy, c.canary, got, c.want)
		}
	}
}
