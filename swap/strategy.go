package swap

// Strategy is how a successor takes over: an index into strategies.
type Strategy uint8

const (
	Default  Strategy = iota // the configured one; as the configured one: Overlap
	Overlap                  // both live until the successor has proved itself
	Handover                 // the successor starts beside the predecessor and asks it for one resource after the other
	Replace                  // the predecessor ends first; connections wait
)

// strategy is all that the machine wants to know of one.
type strategy struct {
	name string

	// stopFirst: the predecessor ends before the successor starts. If that one fails,
	// the predecessor's command is started again.
	stopFirst bool

	// gradual: canary, keep and batches are possible, for both have sockets of their
	// own and serve side by side. If the successor fails, what it had goes back.
	gradual bool

	// asks: the successor names what it is ready for, and the predecessor releases
	// that, or is told to stop. If the successor fails, what was released goes back.
	asks bool

	// sockets are the successor's while its predecessor lives.
	sockets Sockets
}

// strategies is the one place where they differ.
var strategies = [...]strategy{
	Overlap:  {name: "overlap", gradual: true},
	Handover: {name: "handover", asks: true, sockets: SharedSockets},
	Replace:  {name: "replace", stopFirst: true},
}

// ParseStrategy finds a strategy by its name, Default and false if there is none.
func ParseStrategy(name string) (Strategy, bool) {
	for k := range strategies[Overlap:] {
		if s := Overlap + Strategy(k); strategies[s].name == name {
			return s, true
		}
	}
	return Default, false
}

// StrategyNames lists them in their order.
func StrategyNames() (names []string) {
	for _, s := range strategies[Overlap:] {
		names = append(names, s.name)
	}
	return names
}

// Gradual reports whether a canary, a keep and batches are possible with s.
func (s Strategy) Gradual() bool { return strategies[max(s, Overlap)].gradual }
