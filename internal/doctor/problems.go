package doctor

import (
	"strconv"
	"strings"
	"time"
)

// What an error of a swap and check both say.
const (
	Lost       = "the sockets were lost between swapinit and the server (npm and some wrappers do that)"
	StopsFirst = "SWAPINIT_STRATEGY=replace stops the predecessor first"
	OneRoom    = "SWAPINIT_STRATEGY=replace needs room for one only"
	NoAnswer   = "cannot answer bind() of the server: "
	TakeIt     = "it has to take its socket from swapinit"
	Unsteered  = "SWAPINIT_CANARY and SWAPINIT_KEEP need an endpoint that is steered, and none is: "
	NoSwap     = "no swap begins until it is back"
	NameIt     = "name it in SWAPINIT_LISTEN"
	AtTheGate  = "name it in the gate's SWAPINIT_LISTEN, or SWAPINIT_ADOPT=on"
)

// BothHave is what to do about TCP ports, as in SWAPINIT_LISTEN, that a server has for itself.
func BothHave(ports string) string {
	return "SWAPINIT_LISTEN=" + ports + " (and SWAPINIT_ADOPT=auto, the default) lets both have it"
}

// OfTheGate is what to do in a container that has joined a gate with these TCP ports, about an
// address that is none of its endpoints: the gate's traffic does not come there.
func OfTheGate(ports []int) string {
	if len(ports) == 0 {
		return "name it in the gate's SWAPINIT_LISTEN"
	}
	list := Ports(ports)
	return "let the server open one of the gate's ports (" + strings.ReplaceAll(list[1:], ",:", ", ") + "), or name it in the gate's SWAPINIT_LISTEN"
}

// Ports lists them as in SWAPINIT_LISTEN.
func Ports(ports []int) string {
	list := ""
	for _, port := range ports {
		list += ",:" + strconv.Itoa(port)
	}
	return list[min(1, len(list)):]
}

// Text is why nobody else can have the address beside generation n.
func (p *Passed) Text(n int) string {
	return generation(n) + " has " + p.Address + " for itself, so a successor beside it would find the address already in use: " + p.Why
}

// Do is what to do about it.
func (p *Passed) Do() string {
	if p.Set != "" {
		return p.Set
	}
	return StopsFirst
}

// Text is where connections go.
func (s *Stranger) Text() string {
	return "somebody listens on its address too, with " + strconv.Itoa(s.Sockets) + " sockets of its own (SO_REUSEPORT): connections go to the socket that swapinit has passed on"
}

// Times that no setting names.
const (
	bootTime  = 10 * time.Second // for a server to bind an endpoint
	neverTime = time.Minute      // a server that has not spoken by then is overdue, where READY_TIMEOUT sets no limit
	longTime  = 10 * time.Second // on the way out without a limit
)

// Execs is what to do about a wrapper.
const execs = "begin the server with exec (sh -c 'exec server'), so that it takes the wrapper's place"

type problems []Problem

func (l *problems) add(what, why, set string) {
	*l = append(*l, Problem{What: what, Why: why, Set: set})
}

// Problems finds what would go wrong, the worst first.
func (f *Facts) Problems() []Problem {
	var l problems
	for _, why := range f.Next {
		l.add("the next start", why, "a swap would fail with that, so mend it before")
	}
	if f.GateAway != "" {
		l.add("the gate at "+f.GateAway, "it cannot be reached, and "+NoSwap, "start it again, with the same volume")
	}
	if f.Generation != 0 {
		f.place(&l)
		f.wrapper(&l)
		f.endpoints(&l)
		f.readiness(&l)
		f.addresses(&l)
		f.twice(&l)
		f.signal(&l)
		f.room(&l)
		f.drain(&l)
	}
	f.leaving(&l)
	for _, why := range f.After {
		l.add("SWAPINIT_POST_SWAP", why, "a swap would succeed, and the hook not run, so mend it")
	}
	return l
}

func generation(n int) string { return "generation " + strconv.Itoa(n) }

// span is a time for people: without fractions, where it is long.
func span(d time.Duration) string {
	if d > time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// overdue: a swap would not have waited so long for it.
func (f *Facts) overdue() bool {
	most := f.ReadyTimeout
	if most == 0 {
		most = neverTime
	}
	return !f.Ready && !f.Patient && f.Age > most
}

// Waits is about a server that may be ready yet: what it waits for, which is no problem, "" if
// there is nothing to say.
func (f *Facts) Waits() string {
	if f.Generation == 0 || f.Ready || f.overdue() {
		return ""
	}
	why := f.Note
	if why == "" {
		why = strings.TrimPrefix(f.Hint, "; ")
	}
	if why == "" {
		why = "it waits for SWAPINIT_READY=" + f.Shown
	}
	return generation(f.Generation) + " is not ready yet (" + span(f.Age) + "): " + why
}

// readiness is about a source that has never said anything.
func (f *Facts) readiness(l *problems) {
	if !f.overdue() {
		return
	}
	why := generation(f.Generation) + " is not ready after " + span(f.Age)
	if f.Note != "" {
		why += ": " + f.Note
	}
	if f.ReadyTimeout == 0 {
		why += "; a swap would wait without end (SWAPINIT_READY_TIMEOUT=0)"
	} else {
		why += "; a swap would wait for SWAPINIT_READY_TIMEOUT=" + f.ReadyTimeout.String() + " and fail"
	}
	set := strings.TrimPrefix(f.Hint, "; ")
	if set == "" {
		set = "let the server do what that waits for, or set another SWAPINIT_READY"
	}
	l.add("SWAPINIT_READY="+f.Shown, why, set)
}

// endpoints is about those that nobody serves.
func (f *Facts) endpoints(l *problems) {
	for k := range f.Endpoints {
		e := &f.Endpoints[k]
		what := "endpoint " + e.Name + " (" + e.Address + ")"
		set := "start the server without a wrapper, or by exec"
		if e.Binds {
			set += ", or let it bind the port itself"
		}
		switch {
		case e.Held && e.Waiting > 0 && (f.Ready || f.overdue()):
			l.add(what, count(e.Waiting, "connection waits", "connections wait")+" there, and none is accepted: the server holds its socket, and listens elsewhere or hangs",
				"let the server take its socket from LISTEN_FDS (fd 3) or bind that port, and see whether it hangs")
		case e.Held, !f.Ready && !f.overdue() && (e.By != "" || e.Binds && f.Age < bootTime):
		case e.By != "" && f.Age < bootTime: // a shell may yet exec it
		case e.By != "":
			l.add(what, "only "+e.By+" holds its socket, which starts the server and cannot serve itself: "+Lost+f.blind(), set)
		default:
			l.add(what, "no process of "+generation(f.Generation)+" holds its socket: "+Lost+f.blind(), set)
		}
	}
	for k := range f.Strangers {
		s := &f.Strangers[k]
		l.add("endpoint "+s.Endpoint, s.Text(), "let the server take that socket, from LISTEN_FDS (fd 3) or by SWAPINIT_ADOPT=auto, and no other")
	}
}

// blind is why the server could not bind for itself, as the end of a sentence.
func (f *Facts) blind() string {
	if why := f.Adopts + f.Blind; why != "" {
		return "; swapinit " + NoAnswer + why
	}
	return ""
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// place is about where swapinit runs. A shell with a handler may well pass the signal on.
func (f *Facts) place(l *problems) {
	const term = 1 << (15 - 1)
	if p := f.First; p != nil && (in(shells, p.title()) || p.title() == "busybox" && len(p.Args) > 1 && in(shells, base(p.Args[1]))) && p.Handled&term == 0 {
		l.add("PID 1", "it is a shell, "+p.Text()+", and swapinit is below it: what docker stop sends stays at the shell, and in the end all get KILL",
			`write ENTRYPOINT and CMD in the exec form, as in ENTRYPOINT ["/swapinit", "--"], or begin swapinit with exec`)
	}
	if len(f.Loopback) > 0 {
		l.add("SWAPINIT_LISTEN", "its addresses are on the loopback interface of the container, which no published port (docker run -p) leads to", "SWAPINIT_LISTEN="+Ports(f.Loopback)+
			"; what is published to 127.0.0.1 of the host (-p 127.0.0.1:80:80) is reached from there alone")
	}
}

// wrapper is about a server that is a child of what was started. Workers that a server
// forks are its own program, and have its LISTEN_PID rightly.
func (f *Facts) wrapper(l *problems) {
	if len(f.Mains) == 0 || f.Server == nil {
		return
	}
	main := &f.Mains[0]
	deaf := f.ListenPid == main.Pid && f.Unused && !f.Adopted && (f.Elsewhere || f.overdue())
	bit := uint64(1) << (f.Number - 1)
	switch {
	case !main.Wraps(), !f.Ready && !f.overdue(): // it may be a script that prepares the start
	case deaf:
		l.add("LISTEN_PID", "it is "+strconv.Itoa(main.Pid)+", that is "+main.name()+", which has started "+f.Server.Text()+
			" as its child: that takes no socket from LISTEN_FDS, as they are for another process", execs)
	case in(shells, main.title()) && f.Number != 0 && (main.Ignored|main.Handled)&bit == 0 && !f.KillGroup:
		l.add(main.Text(), "it has the server, "+f.Server.Text()+", as its child, and ends at "+f.Signal+" without passing it on: the server has SWAPINIT_LEFTOVER_TIMEOUT="+
			f.LeftoverTimeout.String()+" from then, not SWAPINIT_RETIRE_TIMEOUT", execs)
	}
}

// addresses is about those that a successor cannot have.
func (f *Facts) addresses(l *problems) {
	if f.Adopts != "" {
		l.add("SWAPINIT_ADOPT", NoAnswer+f.Adopts, TakeIt+" (LISTEN_FDS, fd 3)")
	}
	if f.StopFirst {
		return
	}
	for k := range f.Alone {
		l.add(f.Alone[k].Address, f.Alone[k].Text(f.Generation), f.Alone[k].Do())
	}
	if f.Beside && len(f.Ports) > 0 && f.Adopts == "" { // else that is why
		list := Ports(f.Ports)
		set := BothHave(list)
		switch {
		case f.Blind != "":
			set = "let it take a socket from LISTEN_FDS (fd 3) there; " + StopsFirst
		case f.Joined:
			set = AtTheGate
		case len(f.Endpoints) > 0:
			set = "add it: " + set
		}
		l.add("port "+strings.ReplaceAll(list[1:], ",:", ", "), generation(f.Generation)+" listens there itself: a successor beside it would find the address in use, or get some of its connections (SO_REUSEPORT)"+f.blind(), set)
	}
	if f.Unsteered != "" {
		l.add("SWAPINIT_CANARY, SWAPINIT_KEEP", Unsteered+f.Unsteered, "unset them, or name a TCP or Unix endpoint in SWAPINIT_LISTEN")
	}
}

// twice is about a server that takes the sockets of LISTEN_FDS besides the ones that it binds.
func (f *Facts) twice(l *problems) {
	if len(f.Mains) == 0 || !f.Adopted {
		return
	}
	if p := &f.Mains[0]; p.IsUWSGI() && f.ListenPid == p.Pid {
		l.add("LISTEN_FDS", p.Text()+" takes the sockets there besides those that it binds, and speaks the uwsgi protocol on them: clients of HTTP that reach them get no answer", `set SWAPINIT_EXPORT=""`)
	}
}

// signal is about what asks a predecessor to stop.
func (f *Facts) signal(l *problems) {
	if f.Number == 0 {
		return
	}
	for k := range f.Mains {
		p := &f.Mains[k]
		s := p.known()
		set := "set " + f.Setting + " to a signal at which it ends gracefully"
		if s != nil {
			set = "set " + f.Setting + "=" + strings.Fields(s.stops)[0]
		}
		switch {
		case p.Ignored&(1<<(f.Number-1)) != 0 && !f.KillGroup:
			why := ": it would get KILL after SWAPINIT_RETIRE_TIMEOUT=" + f.RetireTimeout.String()
			if f.RetireTimeout == 0 {
				why = ": it would never end, as SWAPINIT_RETIRE_TIMEOUT=0 is no limit"
			}
			l.add("the stop signal "+f.Signal, p.Text()+" ignores it"+why, set)
		case s != nil && !in(" "+s.stops+" ", f.Signal):
			l.add("the stop signal "+f.Signal, p.Text()+" ends gracefully at "+strings.ReplaceAll(s.stops, " ", " or ")+", not at "+f.Signal+": what it still serves may be lost", set)
		case f.Signal == "TERM" && p.surely():
			l.add("the stop signal TERM", p.Text()+" reloads itself at it, and goes on", "hook-master-start = unix_signal:15 gracefully_kill_them_all in its configuration (die-on-term ends it at once)")
		default:
			continue
		}
		return // the others are the same
	}
}

// room is about limits that are too small for two.
func (f *Facts) room(l *problems) {
	if f.StopFirst {
		return
	}
	const mib = 1 << 20
	if r := &f.Memory; r.short() {
		why := "it is " + mebi(r.Limit, 0) + ", of which " + mebi(r.Used, mib-1) + " are in use (page cache not counted), " + mebi(r.One, mib-1) + " by " + generation(f.Generation) +
			": a second one does not fit beside it"
		if f.Keep > 0 {
			why += ", and SWAPINIT_KEEP=" + f.Keep.String() + " keeps both"
		}
		l.add("the memory limit", why, "raise it (--memory, memory.max) above "+mebi(r.Used+r.Batch, mib-1)+"; "+OneRoom)
	}
	if r := &f.Tasks; r.short() {
		l.add("the limit of processes", "it is "+strconv.FormatInt(r.Limit, 10)+" (threads count), of which "+strconv.FormatInt(r.Used, 10)+" are in use, "+strconv.FormatInt(r.One, 10)+" by "+
			generation(f.Generation)+": a second one does not fit beside it", "raise it (--pids-limit, pids.max) above "+strconv.FormatInt(r.Used+r.Batch, 10)+"; "+OneRoom)
	}
}

func (r *Room) short() bool { return r.Limit > 0 && r.One > 0 && r.Used+r.Batch > r.Limit }

func mebi(n, up int64) string { return strconv.FormatInt((n+up)>>20, 10) + " MiB" }

// drain is about one that would not end.
func (f *Facts) drain(l *problems) {
	if f.Endless > 0 {
		l.add("SWAPINIT_DRAIN_TIMEOUT=0", "a predecessor waits without a limit until its connections are "+f.Drain+", and "+
			count(f.Endless, "is not, and stays so", "are not, and stay so")+oldest(f.Oldest), "set a limit, such as SWAPINIT_DRAIN_TIMEOUT=30s")
	}
}

func oldest(text string) string {
	if text == "" {
		return ""
	}
	return " (the oldest: " + text + ")"
}

// leaving is about predecessors that stay, and those that have no more time.
func (f *Facts) leaving(l *problems) {
	for k := range f.Leaving {
		g := &f.Leaving[k]
		switch {
		case g.For < longTime:
		case g.Stopping:
			l.add(generation(g.Generation), "it was told to stop "+span(g.For)+" ago and does not end; SWAPINIT_RETIRE_TIMEOUT=0 is no limit", "set one, such as SWAPINIT_RETIRE_TIMEOUT=30s, and a stop signal that it obeys")
		case g.Waits > 0:
			l.add(generation(g.Generation), "it drains for "+span(g.For)+" and waits without a limit (SWAPINIT_DRAIN_TIMEOUT=0) for "+count(g.Waits, "connection", "connections")+oldest(g.Oldest), "set a limit, such as SWAPINIT_DRAIN_TIMEOUT=30s")
		}
	}
	if f.Most > 0 && f.Generations >= f.Most {
		l.add("SWAPINIT_MAX_GENERATIONS", "it is "+strconv.Itoa(f.Most)+", and as many live: the next swap first has the oldest one killed that is on its way out", "wait for its end (swapinit status), or raise it")
	}
}
