package ready

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
)

// Source is one way of learning that a worker is ready.
type Source struct {
	name    string // the setting begins with it
	takes   string // what follows the name, as errors list it; "": nothing does
	parse   parser // sets the Mode's Probe; nil: there is none
	Accepts Notice // which of the worker's own words count
	Hint    string // what to do when it was not ready in time, as the end of a sentence
	// EndpointHint is the same where swapinit listens for the server.
	EndpointHint string
	Aims         bool // a probe of an endpoint, aimed at the successor, proves something
	Observes     bool // what a server that binds for itself does counts
}

// What a server must do, as Hints have it.
const (
	mustWrite  = "; the server must write a line to the fd in SWAPINIT_READY_FD"
	mustSend   = "; the server must send READY=1 to NOTIFY_SOCKET"
	orSend     = " or send READY=1 to NOTIFY_SOCKET, or set SWAPINIT_READY to "
	mustSpeak  = mustWrite + orSend
	orElse     = ", or set another SWAPINIT_READY"
	mustAccept = "; the server must bind its endpoint and accept there, write a line to the fd in SWAPINIT_READY_FD" + orSend
)

// parser reads what follows the name of a source; words is Parse's.
type parser func(m *Mode, rest string, words func(string) ([]string, error)) error

// sources has them all, in the order in which errors list them; the first one is
// the default. Nothing else has to know of a new one.
var sources = [...]Source{
	{name: "auto", Accepts: OnPipe | OnSocket | OnChannel, Observes: true, Hint: mustSpeak + "listen, delay:5s, exec:COMMAND or an address to probe",
		EndpointHint: mustAccept + "delay:5s, exec:COMMAND or, for a TCP endpoint, http://host:port/path"},
	{name: "fd", Accepts: OnPipe, Hint: mustWrite + orElse, EndpointHint: mustWrite + orElse},
	{name: "notify", Accepts: OnSocket, Hint: mustSend + orElse, EndpointHint: mustSend + orElse},
	{name: "listen", parse: parseListen, EndpointHint: "; swapinit listens on the endpoints for it, which do not count: set SWAPINIT_READY to auto or, for a TCP " +
		"endpoint, http://host:port/path"},
	{name: "none"},
	{name: "delay:", takes: "DURATION", parse: parseDelay},
	{name: "exec:", takes: "COMMAND", parse: parseExec},
	{name: "tcp://", takes: "host:port", parse: parseTCP, Aims: true},
	{name: "http://", takes: "host[:port]/path", parse: parseHTTP, Aims: true},
}

// Notice is a way in which a worker itself says that it is ready.
type Notice uint8

const (
	OnPipe    Notice = 1 << iota // a line on the readiness pipe
	OnSocket                     // READY=1 on the notification socket
	OnChannel                    // "ready" on a channel
)

// Probe asks once whether a worker is ready; nil is yes. It bounds its own time
// and gives up when stop is closed.
type Probe func(w Worker, stop <-chan struct{}) error

// Worker is the one that is to become ready, with all that the init can do for a
// probe of it.
type Worker interface {
	// Listens reports whether one of its processes has a socket that listens on
	// port, or with 0 on anything, and is no endpoint. sure is false where that
	// cannot be seen.
	Listens(port uint16) (yes, sure bool)
	// Run runs a command beside it to its end; nil is exit status 0.
	Run(command []string, stop <-chan struct{}) error
	// Dial is what makes a connection to the Mode's Addr reach this worker's
	// generation, where that is an endpoint; nil where it is none.
	Dial() Dial
	// Patience is how long one try over a connection may take.
	Patience() time.Duration
	// Accepted waits, within the connection's deadline, until a process has accepted
	// one that was aimed: a listening socket alone takes it too.
	Accepted(conn *os.File) error
}

func parseListen(m *Mode, _ string, _ func(string) ([]string, error)) error {
	m.Probe = func(w Worker, _ <-chan struct{}) error {
		switch yes, sure := w.Listens(0); {
		case yes:
			return nil
		case !sure:
			return errors.New("its descriptors are not swapinit's to read, so nobody can see what it listens on")
		}
		return errors.New("it has no listening socket of its own")
	}
	return nil
}

func parseDelay(m *Mode, rest string, _ func(string) ([]string, error)) error {
	delay, err := time.ParseDuration(rest)
	if err != nil || delay < 0 {
		return errors.New("delay: needs a duration such as delay:5s or delay:1m30s")
	}
	m.Probe = func(_ Worker, stop <-chan struct{}) error {
		select {
		case <-awake.After(delay):
			return nil
		case <-stop:
			return errStopped
		}
	}
	return nil
}

func parseExec(m *Mode, rest string, words func(string) ([]string, error)) error {
	command, err := words(rest)
	if err != nil {
		return err
	}
	if len(command) == 0 || command[0] == "" {
		return errors.New("exec: needs a command such as exec:/app/check --local")
	}
	m.Probe = func(w Worker, stop <-chan struct{}) error { return w.Run(command, stop) }
	return nil
}

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
// the command of exec: into arguments. The errors are one line; one that ends with a
// question says all that is to be said, the others leave it to the caller to list Forms.
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
		err = errors.New(cmp.Or(address(s), "there is no such source"))
	}
	return m, err
}

// address asks whether s, which is no source, is an address to be probed, "" where it is none.
func address(s string) string {
	host, _, path := strings.Cut(s, "/")
	if _, _, _, err := parseURL(s); err != nil || !strings.Contains(host, ":") {
		return ""
	}
	s = text.Clip(s, 100)
	if path {
		return "did you mean http://" + s + "?"
	}
	return "did you mean tcp://" + s + " or http://" + s + "/?"
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
