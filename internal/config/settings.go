package config

import (
	"strings"
	"syscall"
	"time"
)

// Prefix is what the name of every setting begins with. Only upper case is
// ours: swapinit_listen is a variable of somebody else.
const Prefix = "SWAPINIT_"

// Names is a list of lower-case names. It is a type of its own only to be
// parsed as a list, where a plain []string is parsed as a command.
type Names []string

// Paths is a list of paths, as Names is one of names.
type Paths []string

// UIDs is a list of user ids, or all of them.
type UIDs struct {
	List []uint32
	Any  bool
}

// Settings are all settings; each has those of the environment in a table. Durations are
// never negative, at most MaxDuration.
type Settings struct {
	Listen          string
	Export          Names
	SwapSignals     []syscall.Signal
	SwapCommand     []string
	TargetFile      string
	Dir             string
	EnvFile         string
	Ready           string
	ReadyTimeout    time.Duration
	Watchdog        time.Duration
	Settle          time.Duration
	StopSignal      syscall.Signal
	RetireSignal    syscall.Signal
	RetireTimeout   time.Duration
	StopSignals     []syscall.Signal
	StopTimeout     time.Duration
	LeftoverTimeout time.Duration
	StopDelay       time.Duration
	SignalMap       map[syscall.Signal]syscall.Signal
	KillGroup       bool
	ExitMap         map[int]int
	MaxGenerations  int
	Steer           string
	Adopt           Adopt
	Drain           string
	DrainTimeout    time.Duration
	IdleAfter       time.Duration
	Canary          []Stage
	CanaryBy        string
	CanaryCheck     []string
	Keep            time.Duration
	Workers         int
	Batch           Batch
	Strategy        string
	Respawn         string
	PreSwap         []string
	PostSwap        []string
	HookTimeout     time.Duration
	NodeIPC         bool
	Watch           Paths
	WatchSplay      time.Duration
	Gate            string
	GateAllow       UIDs
	Release         string
	StopDrain       time.Duration
	User            string
	Control         string
	Metrics         string
	Log             string
	LogFormat       string
	Color           string

	// Sides are the processes beside the server, by name.
	Sides []Side

	// AsGate: the settings are those of `swapinit gate`.
	AsGate bool

	// Plain: nothing but an init, see plain.
	Plain bool

	// From flags only.
	ParentDeath syscall.Signal // -p: sent to swapinit when its parent dies; 0 = none
	LogOrphans  bool           // -w: log every orphan that is reaped
	Version     bool           // -V: nothing else in Settings is filled in
	Help        bool           // -h: nothing else in Settings is filled in
	Command     []string       // may be empty only when TargetFile is set
}

// each is the table of all settings: where the value goes, and
//
//	env         the variable's name less Prefix
//	envDefault  the default, parsed like a value
//	shown       the default as documented, where unset differs from any value
//	empty       "none": an empty value is an empty list, not the default
//	oneof       all accepted values; those of Strategy are in Parsers
//	accepts     what is accepted, as errors and the documentation say it
//	help        the meaning; ^ stands for a backtick
func (s *Settings) each(add func(field any, tags string)) {
	add(&s.Listen, `env:"LISTEN" accepts:"endpoints such as :8080, web=tcp://0.0.0.0:80 or unix:///run/a.sock?mode=0660, separated by commas or white space" help:"what swapinit listens on for the server: ^[name=]tcp://host:port^, ^tcp4://^, ^tcp6://^, ^:8080^ (the same as ^tcp://:8080^: IPv6 and IPv4), ^udp://^, ^unix:///path?mode=0660^ or ^unix:/path^ (by default 0666, as systemd and nginx do); options ^?backlog=4096&fd=0^. The name is by default the port, or the last part of the path. ^fd=0^ puts the socket on fd 0 and leaves it out of LISTEN_FDS"`)
	add(&s.Export, `env:"EXPORT" envDefault:"systemd,server-starter,einhorn" empty:"none" accepts:"a list of systemd, server-starter, einhorn, or empty for none" help:"in which dialects the endpoints are announced to the server; empty for one that is told by an argument"`)
	add(&s.SwapSignals, `env:"SWAP_SIGNALS" envDefault:"HUP,USR2" empty:"none" accepts:"a list of signals such as HUP,USR2, or empty for none" help:"these signals ask for a swap; all others are forwarded"`)
	add(&s.SwapCommand, `env:"SWAP_COMMAND" accepts:"a command as shell-like words" help:"the replacement's command, when it differs from the first one; quotes and backslashes work, no shell is involved"`)
	add(&s.TargetFile, `env:"TARGET_FILE" accepts:"the path of a file" help:"a file that names the command: one line of shell-like words, ^#^ begins a comment. Read at start (when it is absent the command line's command runs) and at each swap; written when a swap with a new command succeeded, so that a restarted container resumes with it"`)
	add(&s.Dir, `env:"DIR" accepts:"the path of a directory" help:"the server's working directory, resolved again, symbolic links too, at every start"`)
	add(&s.EnvFile, `env:"ENV_FILE" accepts:"the path of a file" help:"dotenv file, read at every start; overrides the environment. Missing or malformed, it is exit status 125 at first and a failed swap later"`)
	add(&s.Ready, `env:"READY" envDefault:"auto" accepts:"auto, fd, notify, listen, none, delay:5s, exec:COMMAND, tcp://host:port or http://host:port/path" help:"how a server says that it is ready. Set to anything but none, it makes ^swapinit health^ wait for that, as an endpoint does"`)
	add(&s.ReadyTimeout, `env:"READY_TIMEOUT" envDefault:"60s" help:"a successor that is not ready by then has failed; 0 = no limit"`)
	add(&s.Watchdog, `env:"WATCHDOG" shown:"off" accepts:"a duration such as 30s, 1m30s or 0, at most 8760h, or off" help:"sets WATCHDOG_USEC and WATCHDOG_PID; a generation that then misses ^WATCHDOG=1^ for that long gets ABRT, 5 s later KILL, and counts as dead; 0 = off"`)
	add(&s.Settle, `env:"SETTLE" envDefault:"1s" help:"a ready successor must live this much longer before the predecessor retires"`)
	add(&s.StopSignal, `env:"STOP_SIGNAL" shown:"TERM" accepts:"one signal other than STOP, such as TERM, QUIT, RTMIN+3 or 15" help:"what asks the server to stop gracefully (QUIT for nginx, USR1 for HAProxy). KILL is possible. When it is not set and SWAPINIT_SIGNAL_MAP rewrites TERM, it is what TERM becomes"`)
	add(&s.RetireSignal, `env:"RETIRE_SIGNAL" shown:"as SWAPINIT_STOP_SIGNAL" accepts:"one signal other than STOP, such as TERM, QUIT, RTMIN+3 or 15" help:"what a predecessor that was swapped out gets instead, when that differs. KILL is possible"`)
	add(&s.RetireTimeout, `env:"RETIRE_TIMEOUT" envDefault:"30s" help:"a retired predecessor's time from its stop signal to KILL; 0 = no limit"`)
	add(&s.StopSignals, `env:"STOP_SIGNALS" envDefault:"TERM" accepts:"a list of signals such as TERM,INT" help:"these signals stop the container; all others are only forwarded"`)
	add(&s.StopTimeout, `env:"STOP_TIMEOUT" envDefault:"0" help:"when the container stops, the time from the stop signal to KILL; 0 = no limit, the container runtime's own deadline decides"`)
	add(&s.LeftoverTimeout, `env:"LEFTOVER_TIMEOUT" envDefault:"5s" help:"what processes that are left when the active generation has ended get between their stop signal and KILL; 0 = KILL at once"`)
	add(&s.StopDelay, `env:"STOP_DELAY" envDefault:"0" help:"wait between being told to stop and passing it on, for load balancers"`)
	add(&s.SignalMap, `env:"SIGNAL_MAP" empty:"none" accepts:"a list such as INT=TERM,USR1= where nothing after = drops the signal, or empty for none" help:"rewrites what is forwarded; what a signal means to swapinit itself is decided before"`)
	add(&s.KillGroup, `env:"KILL_GROUP" envDefault:"false" accepts:"true or false (also 1, 0, yes, no, on, off)" help:"forward signals to the server's process group, not to its main process alone"`)
	add(&s.ExitMap, `env:"EXIT_MAP" accepts:"a list such as 143=0,2=1 of exit statuses 0 to 255" help:"exit with the right one when the server exits with the left one"`)
	add(&s.MaxGenerations, `env:"MAX_GENERATIONS" envDefault:"3" accepts:"a number from 2 to 1000" help:"live generations; a successor that would be one too many first has the oldest draining one killed"`)
	add(&s.Steer, `env:"STEER" envDefault:"auto" oneof:"auto, off, require" help:"whether each generation has its own socket for each TCP endpoint that swapinit opened, and the kernel is told which one gets new connections: ^auto^ where that works here, ^off^ not at all, one socket is shared, ^require^ exit status 125 where it does not work"`)
	add(&s.Adopt, `env:"ADOPT" envDefault:"auto" accepts:"auto, on, off, or a list of ports such as 8080,8443" help:"whether a server that binds for itself gets swapinit's sockets: ^auto^ for the ports of the endpoints, ^on^ for every TCP port, which becomes an endpoint, a list for these ports as well, ^off^ not at all"`)
	add(&s.Drain, `env:"DRAIN" envDefault:"idle" oneof:"idle, gone, off" help:"when a predecessor gets its stop signal: ^idle^ when all its connections are idle, ^gone^ when they are closed, ^off^ at once. An answer that pauses for longer than SWAPINIT_IDLE_AFTER looks idle: a server that sends such and dies abruptly when told to stop needs ^gone^"`)
	add(&s.DrainTimeout, `env:"DRAIN_TIMEOUT" envDefault:"30s" help:"a predecessor is told to stop no later than this long after the cut-over; 0 = no limit"`)
	add(&s.IdleAfter, `env:"IDLE_AFTER" envDefault:"1s" help:"a connection that was quiet for so long, with nothing queued and no request without an answer, is idle; so is one in the pause of a half-sent answer (SWAPINIT_DRAIN=^gone^ waits for it)"`)
	add(&s.Canary, `env:"CANARY" accepts:"stages such as 1%/10s,25%/30s: a share from 0.01% to 99.99% and a duration each, at most 100; or off" help:"the share of new connections that a successor gets, and for how long, before it gets all; its death, its watchdog or SWAPINIT_CANARY_CHECK rolls back"`)
	add(&s.CanaryBy, `env:"CANARY_BY" envDefault:"random" accepts:"random, client, or at most 64 networks such as 10.0.0.0/8,2001:db8::/32" help:"which connections the share of a canary is: ^random^ any, ^client^ all those of so many clients, told by their address (IPv6 by its /64), of whom none goes back from the successor while its share grows, or networks: all those from there and no others, whatever the share"`)
	add(&s.CanaryCheck, `env:"CANARY_CHECK" accepts:"a command as shell-like words, or http://host[:port]/path" help:"run, or asked for any 2xx, every 2 s during the stages; when it fails the swap is rolled back. An http:// address that is an endpoint reaches the successor; a command finds one that does in SWAPINIT_CHECK_ADDRESS. No shell is involved"`)
	add(&s.Keep, `env:"KEEP" shown:"0, joined 1m" help:"a predecessor is kept warm for so long after the cut-over, so that ^swapinit rollback^ can give it the traffic back; 0 = not at all"`)
	add(&s.Workers, `env:"WORKERS" envDefault:"1" accepts:"a number from 1 to 256, or auto" help:"processes a generation; ^auto^ is one for each CPU that the cgroup allows"`)
	add(&s.Batch, `env:"BATCH" envDefault:"all" accepts:"all, a number from 1, or a percentage from 1% to 100%" help:"how many workers are replaced at a time"`)
	add(&s.Strategy, `env:"STRATEGY" envDefault:"overlap" accepts:"the name of a strategy" help:"how a successor takes over: ^overlap^ when it is ready, beside the predecessor; ^handover^ as the two say on their channels; ^replace^ the predecessor is stopped first"`)
	add(&s.Respawn, `env:"RESPAWN" envDefault:"auto" oneof:"auto, never, on-failure, always" help:"whether a worker that ended is started again; ^auto^ is ^never^ with one worker and ^on-failure^ with more"`)
	add(&s.PreSwap, `env:"PRE_SWAP" accepts:"a command as shell-like words" help:"run before a swap, which fails when it fails; a last line ^command=…^ of its output names the replacement"`)
	add(&s.PostSwap, `env:"POST_SWAP" accepts:"a command as shell-like words" help:"run after every swap that began, with SWAPINIT_RESULT"`)
	add(&s.HookTimeout, `env:"HOOK_TIMEOUT" envDefault:"60s" help:"the time that a command before or after a swap has, then KILL; 0 = no limit"`)
	add(&s.NodeIPC, `env:"NODE_IPC" envDefault:"false" accepts:"true or false (also 1, 0, yes, no, on, off)" help:"the server gets a Node IPC channel: ^process.send('ready')^ says that it is ready"`)
	add(&s.Watch, `env:"WATCH" accepts:"a list of paths, separated by commas or white space" help:"paths, looked at every 2 s: another content or inode asks for a swap, a mere touch does not"`)
	add(&s.WatchSplay, `env:"WATCH_SPLAY" envDefault:"0" help:"a random delay of up to that before the swap, so that many machines which see the same change do not swap at once"`)
	add(&s.Gate, `env:"GATE" shown:"the gate: /gate/gate.sock" accepts:"an absolute path or @name, at most 107 bytes" help:"the socket of a gate. ^swapinit gate^ listens there; with it set any other swapinit opens no endpoints but joins the gate, which gives it its listening sockets"`)
	add(&s.GateAllow, `env:"GATE_ALLOW" accepts:"a list of uids such as 1000,1001, or any" help:"for ^swapinit gate^: who may join besides uid 0 and the gate's own; ^any^ is whoever can open the socket"`)
	add(&s.Release, `env:"RELEASE" shown:"the container's id" accepts:"a name of at most 64 letters, digits and ._-+:/@" help:"joined to a gate: the name by which the gate shows this container, and by which ^wait^ knows it"`)
	add(&s.StopDrain, `env:"STOP_DRAIN" shown:"0, joined 8s" help:"between being told to stop and the stop signal, the time that the server's connections have at most to be what SWAPINIT_DRAIN says: idle or gone"`)
	add(&s.User, `env:"USER" accepts:"uid, uid:gid, name or name:group" help:"the server's user; swapinit itself keeps its own"`)
	add(&s.Control, `env:"CONTROL" envDefault:"auto" accepts:"auto, off, an absolute path or @name, at most 107 bytes" help:"the control socket; ^auto^ is an abstract name, ^@name^ another one"`)
	add(&s.Metrics, `env:"METRICS" shown:"off" accepts:"an address such as :9180, tcp4://127.0.0.1:9180 or unix:///run/metrics.sock, an absolute path, or off" help:"where ^GET /metrics^ is answered with what ^swapinit metrics^ prints, OpenMetrics text, for whoever can connect"`)
	add(&s.Log, `env:"LOG" envDefault:"info" oneof:"error, warn, info, debug" help:"what is logged; ^info^ is silent for a container that only starts and stops, one line a swap event"`)
	add(&s.LogFormat, `env:"LOG_FORMAT" envDefault:"text" oneof:"text, json" help:"lines for people, or one JSON object a line"`)
	add(&s.Color, `env:"COLOR" envDefault:"auto" oneof:"auto, always, never" help:"colour in text lines; ^auto^ is on a terminal, unless NO_COLOR is set"`)
}

// acceptsDuration is the accepts of every duration, which have none of their
// own: one syntax, one text.
const acceptsDuration = "a duration such as 30s, 1m30s or 0, at most 8760h"

// EffectiveStop is what asks a server to stop: SWAPINIT_STOP_SIGNAL, else what
// SWAPINIT_SIGNAL_MAP or -r make of TERM (0: it is dropped), else TERM.
func (s *Settings) EffectiveStop() syscall.Signal {
	if s.StopSignal != 0 {
		return s.StopSignal
	}
	if to, ok := s.SignalMap[syscall.SIGTERM]; ok {
		return to
	}
	return syscall.SIGTERM
}

// EffectiveRetire is what a predecessor gets: SWAPINIT_RETIRE_SIGNAL, else
// EffectiveStop, else TERM. It is never 0: a map that keeps TERM from the
// server when the container stops must not keep predecessors for ever.
func (s *Settings) EffectiveRetire() syscall.Signal {
	if s.RetireSignal != 0 {
		return s.RetireSignal
	}
	if sig := s.EffectiveStop(); sig != 0 {
		return sig
	}
	return syscall.SIGTERM
}

// Variable is a setting as it is documented.
type Variable struct {
	Name    string // with Prefix
	Default string // "" if there is none
	Accepts string
	Help    string // ^ stands for a backtick
}

// setting is one row of the table.
type setting struct {
	Variable
	field      any      // points to the field of Settings
	emptyMeans bool     // an empty value is a value
	oneOf      []string // all accepted values, nil where there are others
	preset     string   // the default as a value
}

// table lists the rows for s.
func table(s *Settings) []setting {
	rows := make([]setting, 0, 64)
	s.each(func(field any, row string) {
		rows = append(rows, setting{field: field, Variable: Variable{Accepts: acceptsDuration}})
		r := &rows[len(rows)-1]
		for row != "" {
			key, value, rest := tag(row)
			switch row = rest; key {
			case "env":
				r.Name = Prefix + value
			case "envDefault":
				r.Default, r.preset = value, value
			case "shown":
				r.Default = value
			case "empty":
				r.emptyMeans = value == "none"
			case "oneof":
				r.choose(strings.Split(value, ", "))
			case "accepts":
				r.Accepts = value
			case "help":
				r.Help = value
			}
		}
	})
	return rows
}

// tag takes the first key and value off a row, as reflect.StructTag has them. It
// allocates nothing: what the start of an idle init allocates stays in memory.
func tag(row string) (key, value, rest string) {
	key, rest, _ = strings.Cut(row, `:"`)
	value, rest, _ = strings.Cut(rest, `"`)
	return key, value, strings.TrimPrefix(rest, " ")
}

// text is the field of a setting that is a string, nil where it is none.
func (r *setting) text() *string {
	switch f := r.field.(type) {
	case *string:
		return f
	case *Adopt:
		return (*string)(f)
	case *Batch:
		return (*string)(f)
	}
	return nil
}

// choose makes these the only accepted values.
func (r *setting) choose(values []string) {
	r.oneOf, r.Accepts = values, "one of "+strings.Join(values, ", ")
}

// rows is the table for s with what other packages accept.
func (p *Parsers) rows(s *Settings) []setting {
	rows := table(s)
	for i := range rows {
		if rows[i].Name == Prefix+"STRATEGY" {
			rows[i].choose(p.Strategies)
		}
	}
	return rows
}

// Variables are all settings, in the order of the documentation.
func Variables(p Parsers) (list []Variable) {
	for _, r := range p.rows(new(Settings)) {
		list = append(list, r.Variable)
	}
	return append(list, sideVariable)
}

// runtimeNames are what swapinit itself gives to its children. They are there
// when swapinit runs below another swapinit, and never an error.
var runtimeNames = [...]string{
	"SWAPINIT_GENERATION", "SWAPINIT_READY_FD", "SWAPINIT_RESULT", "SWAPINIT_CHECK_ADDRESS", "SWAPINIT_WORKER", "SWAPINIT_CHANNEL_FD",
}
