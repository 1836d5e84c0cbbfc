package ns

import (
	"os"
	"strconv"
	"strings"
)

// Proc is a process in a container.
type Proc struct {
	Pid   int // as seen inside
	Host  int // as seen by the caller
	PPid  int // as seen by the caller
	Name  string
	State string // "S", "Z", "T" ...
	Args  []string
}

// Procs lists the processes of the container, PID 1 first. Without namespaces
// these are the program and its descendants.
func (c *Container) Procs() []Proc {
	space, _ := os.Readlink(c.proc("ns/pid"))
	if space == "" {
		return nil
	}
	own, _ := os.Readlink("/proc/self/ns/pid")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []Proc
	inside := map[int]bool{c.Pid(): true}
	for _, e := range entries {
		host, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := "/proc/" + e.Name() + "/"
		if link, err := os.Readlink(dir + "ns/pid"); err != nil || link != space {
			continue
		}
		p, ok := readProc(dir, host)
		if !ok {
			continue
		}
		if space == own && !inside[host] && !inside[p.PPid] {
			continue
		}
		inside[host] = true
		all = append(all, p)
	}
	return all
}

func readProc(dir string, host int) (Proc, bool) {
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return Proc{}, false
	}
	p := Proc{Host: host}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			p.Name = value
		case "State":
			p.State, _, _ = strings.Cut(value, " ")
		case "PPid":
			p.PPid, _ = strconv.Atoi(value)
		case "NSpid":
			fields := strings.Fields(value)
			p.Pid, _ = strconv.Atoi(fields[len(fields)-1])
		}
	}
	cmdline, _ := os.ReadFile(dir + "cmdline")
	p.Args = strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	return p, true
}
