// Package procnet reads what the kernel tells of sockets and namespaces, in
// /proc and by system calls. It has no state, and memory for one line at a time: the
// tables may have any length, and any process may put its names into them.
package procnet

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
)

// Unix is one line of /proc/net/unix, proc_net(5). A socket that was accepted
// has its listener's name, and so has one that waits to be, which has no inode
// yet:
//
//	Num       RefCount Protocol Flags    Type St Inode Path
//	0000...:  00000002 00000000 00010000 0001 01 73523 /run/a.sock    listens
//	0000...:  00000003 00000000 00000000 0001 03 73541 /run/a.sock    accepted
//	0000...:  00000003 00000000 00000000 0001 02     0 /run/a.sock    waits
type Unix struct {
	Listens bool   // __SO_ACCEPTCON
	Type    int    // SOCK_STREAM, say
	State   int    // SS_CONNECTING, SS_CONNECTED of linux/net.h
	Inode   uint64 // 0: not accepted yet
	Name    []byte // a path, @ and an abstract name, or nothing; valid during the call
}

// The states of Unix.
const (
	Connecting = 2
	Connected  = 3
)

// EachUnix calls each for every Unix socket of our network namespace. They come
// and go meanwhile, and the kernel may pass over one when another one ends.
func EachUnix(each func(*Unix)) error {
	return eachLine("/proc/net/unix", func(line []byte) {
		var u Unix
		if u.parse(line) {
			each(&u)
		}
	})
}

// parse reads a line; the name is all that follows the inode, spaces included.
func (u *Unix) parse(line []byte) bool {
	var f [7][]byte
	name := fields(line, f[:])
	flags, ok1 := number(f[3], 16)
	kind, ok2 := number(f[4], 16)
	state, ok3 := number(f[5], 16)
	inode, ok4 := number(f[6], 10)
	*u = Unix{Listens: flags&(1<<16) != 0, Type: int(kind), State: int(state), Inode: inode, Name: name}
	return ok1 && ok2 && ok3 && ok4 // the header is no line
}

// fields splits off the first fields of a line, as many as there is room for.
func fields(line []byte, into [][]byte) (rest []byte) {
	for i := range into {
		for len(line) > 0 && line[0] == ' ' {
			line = line[1:]
		}
		into[i], line, _ = bytes.Cut(line, []byte{' '})
	}
	return line
}

func number(text []byte, base int) (uint64, bool) {
	n, err := strconv.ParseUint(string(text), base, 64)
	return n, err == nil
}

// Listening lists the sockets that listen in our network namespace, TCP and
// Unix, by inode with their ports, which are 0 for Unix. A table that cannot be
// read counts as empty: there may be no IPv6.
func Listening() map[uint64]uint16 {
	found := map[uint64]uint16{}
	for _, name := range [...]string{"/proc/net/tcp", "/proc/net/tcp6"} {
		_ = eachLine(name, func(line []byte) {
			// sl local_address rem_address st queues timer retransmits uid timeout inode
			var f [10][]byte
			fields(line, f[:])
			_, hex, _ := bytes.Cut(f[1], []byte{':'})
			port, _ := number(hex, 16)
			if inode, ok := number(f[9], 10); ok && string(f[3]) == "0A" {
				found[inode] = uint16(port)
			}
		})
	}
	_ = EachUnix(func(u *Unix) {
		if u.Listens {
			found[u.Inode] = 0
		}
	})
	return found
}

// Bound reports whether a socket of our network namespace listens on a TCP port, or is
// bound to a UDP one, at any address. network is tcp or udp. Where that cannot be seen it
// is true.
func Bound(network string, port uint16) (yes bool) {
	states := map[string]string{"tcp": "0A", "udp": "07"}
	seen := false
	for _, family := range [...]string{"", "6"} {
		err := eachLine("/proc/net/"+network+family, func(line []byte) {
			var f [4][]byte
			fields(line, f[:])
			_, hex, _ := bytes.Cut(f[1], []byte{':'})
			at, ok := number(hex, 16)
			yes = yes || ok && uint16(at) == port && string(f[3]) == states[network]
		})
		seen = seen || err == nil
	}
	return yes || !seen
}

// Listeners lists, by inode, the sockets that listen at exactly this TCP address.
func Listeners(at netip.AddrPort) (inodes []uint64, err error) {
	name, want := "/proc/net/tcp", ""
	if !at.Addr().Is4() {
		name += "6"
	}
	for words := at.Addr().AsSlice(); len(words) > 0; words = words[4:] {
		want += digits(binary.NativeEndian.Uint32(words), 8)
	}
	want += ":" + digits(uint32(at.Port()), 4)
	err = eachLine(name, func(line []byte) {
		var f [10][]byte
		fields(line, f[:])
		if inode, ok := number(f[9], 10); ok && string(f[3]) == "0A" && string(f[1]) == want {
			inodes = append(inodes, inode)
		}
	})
	return inodes, err
}

// Outside reports whether any TCP socket of our network namespace listens at an address that is
// none of the loopback interface's. Where that cannot be seen it is true.
func Outside() (yes bool) {
	seen := false
	for _, name := range [...]string{"/proc/net/tcp", "/proc/net/tcp6"} {
		err := eachLine(name, func(line []byte) {
			var f [4][]byte
			fields(line, f[:])
			hex, _, _ := bytes.Cut(f[1], []byte{':'})
			yes = yes || string(f[3]) == "0A" && !loopback(hex)
		})
		seen = seen || err == nil
	}
	return yes || !seen
}

// loopback reports whether an address is one, in words of eight digits each.
func loopback(hex []byte) bool {
	var ip []byte
	for ; len(hex) >= 8; hex = hex[8:] {
		word, _ := number(hex[:8], 16)
		ip = binary.NativeEndian.AppendUint32(ip, uint32(word))
	}
	switch len(ip) {
	case 4:
		return ip[0] == 127
	case 16:
		return string(ip) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" || string(ip[:13]) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f"
	}
	return false
}

// digits is n in as many hexadecimal ones.
func digits(n uint32, count int) string {
	b := make([]byte, count)
	for i := range b {
		b[count-1-i] = "0123456789ABCDEF"[n>>(4*i)&15]
	}
	return string(b)
}

// eachLine reads a file piece by piece. A line that is longer than any of the
// kernel's is passed over.
func eachLine(name string, each func(line []byte)) error {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return text.Errorf("cannot read %s: %w", name, err)
	}
	defer syscall.Close(fd)
	var buffer [2048]byte // less than the kernel's page: lines are cut in the tests, too
	held := 0             // the beginning of a line, from the last read
	for {
		n, err := syscall.Read(fd, buffer[held:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return text.Errorf("cannot read %s: %w", name, err)
		}
		if n <= 0 {
			return nil
		}
		text := buffer[:held+n]
		for {
			line, rest, ok := bytes.Cut(text, []byte{'\n'})
			if !ok {
				break
			}
			each(line)
			text = rest
		}
		if held = copy(buffer[:], text); held == len(buffer) {
			held = 0
		}
	}
}

// Field is what stands behind a name and a colon at the beginning of a line of text, a
// file such as /proc/PID/status, without the white space around it; "" if nothing does.
func Field(text, name string) string {
	_, rest, _ := strings.Cut("\n"+text, "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// Namespace is the inode of our own namespace of a kind (pid, net),
// namespaces(7).
func Namespace(kind string) (uint64, error) {
	link, err := os.Readlink("/proc/self/ns/" + kind) // pid:[4026531836]
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.Trim(link, kind+":[]"), 10, 64)
}
