package ready

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
)

// Mode is the parsed SWAPINIT_READY. A worker with neither a Probe nor a Notice that
// is accepted is ready as soon as it runs.
type Mode struct {
	*Source
	Text  string         // as configured
	Addr  netip.AddrPort // to which a probe connects; the zero value: to none
	Probe Probe          // nil: nothing is asked
}

// Forms lists every form of the setting, for error messages and help.
func Forms() string {
	var forms []string
	for n := range sources {
		forms = append(forms, sources[n].name+sources[n].takes)
	}
	return strings.Join(forms, ", ")
}

// Parse reads the value of SWAPINIT_READY; an empty one is auto. words splits
// the command of exec: into arguments. The errors are one line and say what is
// accepted.
func Parse(s string, words func(string) ([]string, error)) (Mode, error) {
	m := Mode{Source: &sources[0], Text: s}
	rest, found := "", s == ""
	for n := 0; n < len(sources) && !found; n++ {
		m.Source = &sources[n]
		rest, found = strings.CutPrefix(s, m.name)
		found = found && (rest == "" || m.takes != "")
	}
	var err error
	switch {
	case found && m.parse != nil:
		err = m.parse(&m, rest, words)
	case strings.HasPrefix(s, "https:"):
		err = errors.New("a probe does not speak TLS, use http:// on a plain port, tcp:// or exec:")
	case !found:
		err = errors.New("accepted are " + Forms())
	}
	if err != nil {
		err = fmt.Errorf("cannot use readiness %s: %w", quote(s), err)
	}
	return m, err
}

// On reports whether the probe would connect to a listener bound to endpoint,
// so that its success would say nothing about the generation. A listener on
// [::] is taken to be dual-stack.
func (m *Mode) On(endpoint netip.AddrPort) bool {
	if !m.Addr.IsValid() || m.Addr.Port() != endpoint.Port() {
		return false
	}
	bound := endpoint.Addr().Unmap()
	if bound.IsUnspecified() {
		return bound.Is6() || m.Addr.Addr().Is4()
	}
	return bound == m.Addr.Addr()
}

// quote makes untrusted text fit for one line of a message.
func quote(s string) string {
	return text.Quote(s, 100)
}
