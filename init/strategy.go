package pid1

import (
	"strings"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// strategy is the one of that name, swap.Default if there is none.
func strategy(name string) swap.Strategy {
	s, _ := swap.ParseStrategy(name)
	return s
}

// StrategyProblem is what cannot be asked for in the args of a swap, "" if there
// is nothing. It names them so that it fits both the wire and a verb's options.
func StrategyProblem(a control.SwapArgs) string {
	s, known := swap.ParseStrategy(a.Strategy)
	switch {
	case a.Strategy != "" && !known:
		return "unknown strategy " + text.Quote(a.Strategy, 40) + ", accepted: " + strings.Join(swap.StrategyNames(), ", ")
	case a.Canary != "" && !s.Gradual():
		return "a canary needs the strategy overlap"
	}
	return ""
}
