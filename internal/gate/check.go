package gate

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/listen"
	"golang.org/x/sys/unix"
)

// check is what would go wrong, or could go better: `swapinit check` at the gate. It
// reads files, so it is not for the loop.
func (g *Gate) check() []control.Problem {
	var list []control.Problem
	add := func(what, why, set string) { list = append(list, control.Problem{What: what, Why: why, Set: set}) }
	if path := g.set.Gate; !strings.HasPrefix(path, "@") {
		checkVolume(filepath.Dir(path), g.uid, add)
	}
	specs, _ := listen.Parse(g.set.Listen)
	checkSystem("/proc/sys/net", specs, add)
	return list
}

func checkVolume(dir string, uid int, add func(what, why, set string)) {
	volume, copied := "the volume "+dir, filepath.Join(dir, program)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		add(volume, err.Error(), "mount a volume there that the gate can write to")
		return
	}
	if unix.Access(dir, unix.W_OK) != nil {
		add(volume, "the gate cannot write to it, so it cannot keep its state", "mount it read-write in the gate, and let uid "+strconv.Itoa(uid)+" own it")
	}
	mode := "it has mode 0" + strconv.FormatUint(uint64(st.Mode&0o7777), 8)
	switch {
	case st.Mode&unix.S_IWOTH != 0 && st.Mode&unix.S_ISVTX == 0:
		add(volume, "everybody can write to it ("+mode+"), and so replace the socket and the program in it", "chmod 0755, and mount it :ro in members")
	case st.Mode&unix.S_IXOTH == 0:
		add(volume, "only its owner may search it ("+mode+"), so members with another uid cannot reach the socket", "chmod 0755")
	}
	if noexec(dir) {
		add("the program "+copied, "the volume is mounted noexec, so members cannot run it", "mount it with exec, or have swapinit in the members' images")
	}
	if err := unix.Stat(copied, &unix.Stat_t{}); err != nil {
		add("the program "+copied, "it is not there: "+err.Error(), "let the gate write to the volume, or have swapinit in the members' images")
	}
}

// checkSystem looks at the settings of the network namespace below root.
func checkSystem(root string, specs []listen.Spec, add func(what, why, set string)) {
	backlog, port := 0, 0
	for i := range specs {
		backlog = max(backlog, specs[i].Backlog)
		if p := int(specs[i].Addr.Port()); specs[i].IsTCP() && (port == 0 || p < port) {
			port = p
		}
	}
	if most, ok := number(root + "/core/somaxconn"); ok && most < backlog {
		add("net.core.somaxconn", "it is "+strconv.Itoa(most)+", so no more connections than that wait while nobody serves, of "+strconv.Itoa(backlog)+" that the endpoints ask for", "sysctl net.core.somaxconn="+strconv.Itoa(backlog)+" (compose: sysctls)")
	}
	if on, ok := number(root + "/ipv4/tcp_migrate_req"); ok && on == 1 {
		add("net.ipv4.tcp_migrate_req", "it is 1, so the kernel may move connections that wait from one container to another that was not meant to get any", "sysctl net.ipv4.tcp_migrate_req=0")
	}
	if first, ok := number(root + "/ipv4/ip_unprivileged_port_start"); ok && port > 0 && port < first && os.Geteuid() != 0 {
		add("port "+strconv.Itoa(port), "ports below "+strconv.Itoa(first)+" need a capability, and the gate is uid "+strconv.Itoa(os.Geteuid()), "sysctl net.ipv4.ip_unprivileged_port_start="+strconv.Itoa(port)+", or cap_add NET_BIND_SERVICE")
	}
}

// number reads a file that has one; where it cannot be read nothing is known.
func number(name string) (n int, ok bool) {
	data, err := file.Read(name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return n, err == nil
}
