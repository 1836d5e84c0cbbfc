package pid1

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/cgroup"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/steer"
)

// What an examination reads is bounded.
const (
	processesMost = 256     // of a generation, whose memory is looked at
	argsMost      = 4 << 10 // bytes of a command line
	epollMost     = 64      // epoll instances of a process
)

// read looks at files and processes. Not for the loop.
func (e *examination) read() {
	e.Next, e.After = e.launcher.rehearse(e.next, e.Generation, e.current)
	if e.active == nil {
		return
	}
	table := snapshot()
	members := e.launcher.procs.members(e.active, table, map[life]mark{})
	for _, w := range e.active.all() {
		if pid := w.pid(); pid != 0 && !w.ended.Load() {
			e.Mains = append(e.Mains, e.launcher.observed(pid))
		}
	}
	e.readAdoption()
	e.readEndpoints(members)
	e.readPlace()
	e.readRoom(members, table)
	if e.set.Drain != "off" && e.set.DrainTimeout == 0 {
		e.endless()
	}
}

// observed is what /proc tells of a process.
func (l *launcher) observed(pid int) doctor.Process {
	at := "/proc/" + itoa(pid)
	p := doctor.Process{Pid: pid}
	exe, _ := os.Readlink(at + "/exe")
	p.Exe = strings.TrimSuffix(exe[strings.LastIndexByte(exe, '/')+1:], " (deleted)")
	line, _ := file.Read(at + "/cmdline")
	p.Args = strings.Split(strings.TrimRight(string(line[:min(len(line), argsMost)]), "\x00"), "\x00")
	text, _ := file.Read(at + "/status")
	mask := func(name string) uint64 {
		n, _ := strconv.ParseUint(procnet.Field(string(text), name), 16, 64)
		return n
	}
	p.Ignored, p.Handled = mask("SigIgn"), mask("SigCgt")|mask("SigBlk")
	if p.IsUWSGI() {
		p.Config = l.configured(at, p.Args)
	}
	return p
}

// configured is the environment of a process and the files that its command line names,
// "" if one of them cannot be read.
func (l *launcher) configured(at string, args []string) string {
	env, err := file.Read(at + "/environ")
	all := " " + string(env)
	for _, arg := range args {
		name := arg[strings.LastIndexByte(arg, '=')+1:]
		if err != nil || !strings.HasSuffix(name, ".ini") && !strings.HasSuffix(name, ".yml") && !strings.HasSuffix(name, ".yaml") {
			continue
		}
		if name[0] != '/' {
			name = at + "/cwd/" + name
		}
		var data []byte
		data, err = l.readFile("", name)
		all += string(data)
	}
	if err != nil {
		return ""
	}
	return all
}

// readAdoption finds what keeps the server from being adopted, and what it has for itself.
func (e *examination) readAdoption() {
	a, n := e.adoption, e.Generation
	a.mu.Lock()
	mine := a.gens[n]
	if mine == nil {
		a.mu.Unlock()
		return
	}
	watched, refused := mine.watched, mine.refused
	e.Blind, e.Adopted = mine.blind, len(mine.sockets) > 0
	passed := append([]passed{}, mine.passed...)
	a.mu.Unlock() // what follows reads files
	if refused != "" && a.wish == "auto" {
		e.Blind = refused
	} else {
		e.Adopts = refused
	}
	command, err := e.launcher.resolve(e.active)
	next, failed := e.launcher.defaultCommand(e.next, e.current)
	if err == nil && failed == nil && slices.Equal(command, next) { // another command may do without
		for _, p := range passed {
			if p.alone && p.bound() {
				e.Alone = append(e.Alone, p.Passed)
			}
		}
	}
	if !watched {
		for _, port := range a.ports(e.active) {
			if !ephemeral(port) && a.find(netip.AddrPortFrom(netip.Addr{}, uint16(port))) == nil {
				e.Ports = append(e.Ports, port)
			}
		}
	}
	e.Elsewhere = len(passed)+len(e.Ports) > 0
}

// ephemeral reports whether the kernel may have chosen the port: a successor gets another.
func ephemeral(port int) bool {
	text, _ := file.Read("/proc/sys/net/ipv4/ip_local_port_range")
	f := strings.Fields(string(text))
	if len(f) != 2 {
		return port >= 32768
	}
	first, _ := strconv.Atoi(f[0])
	last, _ := strconv.Atoi(f[1])
	return first <= port && port <= last
}

// readEndpoints finds who has the endpoints.
func (e *examination) readEndpoints(members []process) {
	n, watched := e.Generation, e.adoption.watches(e.Generation)
	wrapped := len(e.Mains) > 0 && e.Mains[0].Wraps()
	held, waited, seen := sockets(members, wrapped)
	seen = seen && len(members) > 0
	steered, why := false, "there is no endpoint"
	e.Unused = seen
	for _, at := range e.steering.list() {
		if why = at.whyShared(); why == "" {
			steered = true
		}
		inode := at.inode(n)
		if at.of != nil || inode == 0 {
			continue
		}
		holders := held[socketLink(inode)]
		e.Unused = e.Unused && !waited[inode]
		if twin := at.twin.Load(); twin != nil {
			holders = append(holders, held[socketLink(twin.inode(n))]...)
			e.Unused = e.Unused && !waited[twin.inode(n)]
		}
		d := doctor.Endpoint{Name: at.Name, Address: at.Address, Binds: watched && at.IsTCP()}
		for _, pid := range holders {
			p := e.launcher.observed(pid)
			switch {
			case p.Wraps():
				d.By = p.Text()
			case e.Server == nil && pid != e.active.pid():
				e.Server, e.ListenPid = &p, listenPid(pid)
				fallthrough
			default:
				d.Held = true
			}
		}
		if at.group != nil && wrapped && e.Unused {
			_ = at.group.Counts(e.set.IdleAfter, func(of int, l steer.Look) { e.Unused = e.Unused && (of != n || l.Open <= l.Queued) })
		}
		if at.tcp != nil {
			if k, err := at.tcp.Foreign(); err == nil && k > 0 {
				e.Strangers = append(e.Strangers, doctor.Stranger{Endpoint: at.Name, Sockets: k})
			}
		}
		if d.Held {
			d.Waiting = at.stuck(n, e.set.IdleAfter)
		}
		if d.Held || seen {
			e.Endpoints = append(e.Endpoints, d)
		}
	}
	if (e.set.Keep > 0 || len(e.set.Canary) > 0) && !steered {
		e.Unsteered = why
	}
}

// listenPid is that in the environment of a process.
func listenPid(pid int) int {
	env, _ := file.Read("/proc/" + itoa(pid) + "/environ")
	n, _ := strconv.Atoi(lookup(strings.Split(string(env), "\x00"), "LISTEN_PID"))
	return n
}

// sockets finds which processes have each socket open, by what the links in /proc/PID/fd say,
// and, if that is asked for, which sockets one of them waits for with epoll, by inode.
func sockets(processes []process, epoll bool) (held map[string][]int, waited map[uint64]bool, seen bool) {
	held, waited, seen = map[string][]int{}, map[uint64]bool{}, true
	for _, p := range processes {
		at := "/proc/" + itoa(p.pid)
		names, err := entries(at + "/fd/")
		seen = seen && (err == nil || os.IsNotExist(err))
		epolls := 0
		for _, name := range names {
			link, err := os.Readlink(at + "/fd/" + name)
			seen = seen && !os.IsPermission(err)
			switch {
			case strings.HasPrefix(link, "socket:"):
				if list := held[link]; len(list) == 0 || list[len(list)-1] != p.pid {
					held[link] = append(list, p.pid)
				}
			case epoll && link == "anon_inode:[eventpoll]" && epolls < epollMost:
				epolls++
				info, _ := file.Read(at + "/fdinfo/" + name)
				for line := range strings.Lines(string(info)) {
					_, rest, _ := strings.Cut(line, " ino:")
					hex, _, _ := strings.Cut(rest, " ")
					if n, err := strconv.ParseUint(hex, 16, 64); err == nil {
						waited[n] = true
					}
				}
			}
		}
	}
	return held, waited, seen
}

// readRoom finds what a second generation would need of what is limited.
func (e *examination) readRoom(members, table []process) {
	tasks := func(list []process) (n int64) {
		for _, p := range list {
			n += int64(p.threads)
		}
		return n
	}
	of := func(n int64) int64 {
		return n * int64(e.set.Batch.Of(e.gens.workers)) / int64(e.gens.workers)
	}
	e.Memory.Limit, e.Memory.Used = cgroup.Memory()
	e.Tasks.Limit, e.Tasks.Used = cgroup.Tasks()
	if e.Memory.Limit == 0 && e.Tasks.Limit == 0 {
		return
	}
	for _, g := range e.others {
		left := e.launcher.procs.members(g, table, map[life]mark{})
		e.Memory.Used -= own(left)
		e.Tasks.Used -= tasks(left)
	}
	e.Memory.One, e.Tasks.One = own(members), tasks(members)
	e.Memory.Batch, e.Tasks.Batch = of(e.Memory.One), of(e.Tasks.One)
}

// own is the memory in bytes that processes have for themselves, at least: not what is a
// file's, and what they share counted once. Of those that do not let us look the largest
// counts, as they may share all of it.
func own(processes []process) (all int64) {
	hidden := int64(0)
	for _, p := range processes[:min(len(processes), processesMost)] {
		at := "/proc/" + itoa(p.pid)
		if text, err := file.Read(at + "/smaps_rollup"); err == nil && len(text) > 0 {
			all += kilobytes(string(text), "Pss_Anon")
			continue
		}
		text, _ := file.Read(at + "/status")
		hidden = max(hidden, kilobytes(string(text), "RssAnon"))
	}
	return all + hidden
}

// kilobytes reads "Name:  12 kB".
func kilobytes(text, name string) int64 {
	number, _, _ := strings.Cut(procnet.Field(text, name), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n << 10
}
