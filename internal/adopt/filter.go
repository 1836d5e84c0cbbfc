package adopt

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// option is a socket option by its level and name.
type option struct{ level, name int }

// noted are the options that count before a listener is bound, or that accepted
// connections inherit: they are put on the socket that takes its place. Servers
// hardly ever set one of them on a connection, and then lose microseconds. Those that
// need a privilege (SO_MARK, IP_TRANSPARENT) are not among them, as ours is not the
// server's, nor is SO_KEEPALIVE, which Go sets on each connection.
var noted = [...]option{
	{unix.SOL_IPV6, unix.IPV6_V6ONLY},
	{unix.SOL_SOCKET, unix.SO_REUSEPORT},
	{unix.SOL_SOCKET, unix.SO_RCVBUF},
	{unix.SOL_TCP, unix.TCP_MAXSEG},
	{unix.SOL_TCP, unix.TCP_DEFER_ACCEPT},
	{unix.SOL_TCP, unix.TCP_FASTOPEN},
}

// programs are the options that put another program in the place of the one that
// steers the connections. On a socket of ours they do nothing; nor does SO_REUSEPORT.
var programs = [...]option{
	{unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF},
	{unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF},
	{unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF},
}

// Offsets in struct seccomp_data (linux/seccomp.h). Of an argument the low half
// does: level and name are ints, and all machines that are known here are
// little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// architecture is AUDIT_ARCH_* of linux/audit.h for the system calls that this
// program itself makes; 0 where adoption was not made to work. A 32-bit program
// on a 64-bit kernel makes others, with other numbers.
func architecture() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	case "arm":
		return unix.AUDIT_ARCH_ARM
	case "riscv64":
		return unix.AUDIT_ARCH_RISCV64
	}
	return 0
}

// filter is the program, in classic BPF:
//
//	another architecture             allow
//	bind, listen                     notify
//	setsockopt(_, level, name, ...)  notify if the two are noted or programs
//	everything else                  allow
func filter() []unix.SockFilter {
	const word = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	put := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	equal := func(k int, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: uint32(k)}
	}
	allow := put(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	notify := put(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_USER_NOTIF)
	p := []unix.SockFilter{
		put(word, offArch),
		equal(int(architecture()), 1, 0),
		allow,
		put(word, offNumber),
		equal(unix.SYS_BIND, 3, 0),
		equal(unix.SYS_LISTEN, 2, 0),
		equal(unix.SYS_SETSOCKOPT, 2, 0),
		allow,
		notify,
	}
	for _, list := range [...][]option{noted[:], programs[:]} {
		for _, o := range list {
			p = append(p,
				put(word, offArgs+8),
				equal(o.level, 0, 3),
				put(word, offArgs+16),
				equal(o.name, 0, 1),
				notify)
		}
	}
	return append(p, allow)
}
