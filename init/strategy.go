package pid1

import (
	"slices"
	"strings"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// strategies are the names of swap.Overlap and those that follow it.
var strategies = []string{"overlap", "handover", "replace"}

// strategy is the one of that name, swap.Default if there is none.
func strategy(name string) swap.Strategy {
	return swap.Strategy(1 + slices.Index(strategies, name))
}

// StrategyProblem is what cannot be asked for in the args of a swap, "" if there
// is nothing. It names them so that it fits both the wire and a verb's options.
func StrategyProblem(a control.SwapArgs) string {
	s := strategy(a.Strategy)
	switch {
	case a.Strategy != "" && s == swap.Default:
		return "unknown strategy " + text.Quote(a.Strategy, 40) + ", accepted: " + strings.Join(strategies, ", ")
	case a.Canary != "" && a.Strategy != "" && s != swap.Overlap:
		return "a canary needs the strategy overlap"
	}
	return ""
}
