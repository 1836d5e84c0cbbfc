package member

import (
	"os"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/procnet"
)

// Container is a name for the container that we are in, which a restart keeps: its id, as
// the engine has it; else the host's name; else the inode of the pid namespace.
func Container() string {
	table, _ := file.Read("/proc/self/mountinfo") // "" has no id in it
	if id := idOf(string(table)); id != "" {
		return id
	}
	if name, err := os.Hostname(); err == nil && usable(name) {
		return name
	}
	inode, err := procnet.Namespace("pid")
	if err != nil {
		return "unknown"
	}
	return strconv.FormatUint(inode, 10)
}

// idOf finds the id in a table of mounts (proc_pid_mountinfo(5)): /etc/hostname is
// mounted from a folder of the engine's for this container. The last mount there is the
// one that is seen.
//
//	36 35 98:0 /var/lib/docker/containers/ID/hostname /etc/hostname rw - ext4 …
//	36 35 0:24 /containers/storage/overlay-containers/ID/userdata/hostname /etc/hostname rw - tmpfs …
func idOf(table string) (id string) {
	for line := ""; table != ""; {
		line, table, _ = strings.Cut(table, "\n")
		f := strings.SplitN(line, " ", 6)
		if len(f) < 6 || f[4] != "/etc/hostname" {
			continue
		}
		id = ""
		words := strings.Split(f[3], "/")
		for n, file := range [...]string{"hostname", "userdata"} { // Docker, Podman
			at := len(words) - 2 - n
			if at > 0 && words[at+1] == file && words[len(words)-1] == "hostname" && isID(words[at]) && strings.HasSuffix(words[at-1], "containers") {
				id = words[at]
			}
		}
	}
	return id
}

// isID: 64 hexadecimal digits.
func isID(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// usable: what a gate takes for a name of a container.
func usable(s string) bool {
	const accepted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && len(s) <= 64 && strings.Trim(s, accepted) == ""
}
