package steer

import (
	"encoding/binary"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// What classic BPF has that x/sys/unix lacks (linux/filter.h).
const (
	skfRandom = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	skfNet    = 0xfff00000      // SKF_NET_OFF: from the IP header on
)

// program is a classic BPF program which answers with a member's index. The
// kernel runs it for each segment that looks for a listener: a SYN, or the
// ACK that brings back a SYN cookie. A load from beyond the packet would end
// it with 0, a valid index; every packet has what is loaded here.
type program struct{ code []unix.SockFilter }

func (p *program) put(code uint16, k uint32) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: k})
}

// unless jumps skip instructions ahead if what is loaded is not k.
func (p *program) unless(k uint32, skip uint8) {
	p.put(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k)
	p.code[len(p.code)-1].Jf = skip
}

func (p *program) load(size uint16, offset uint32) {
	p.put(unix.BPF_LD|unix.BPF_ABS|size, offset)
}

func (p *program) answer(index int) { p.put(unix.BPF_RET|unix.BPF_K, uint32(index)) }

// split sends share/10000 to one index and the rest to the other.
func (p *program) split(to, rest, share int, by shares.By) {
	if to == rest {
		p.answer(to)
		return
	}
	switch salt, client := by.Client(); {
	case client:
		p.hash(salt)
	case by.ByNetworks():
		p.networks(by, to, rest)
		return
	default:
		p.load(unix.BPF_W, skfRandom)
	}
	p.put(unix.BPF_ALU|unix.BPF_MOD|unix.BPF_K, shares.Full)
	p.put(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, uint32(share))
	p.code[len(p.code)-1].Jt = 1
	p.answer(to)
	p.answer(rest)
}

// match sends the connections of one source to index, ahead of all others: of its
// address the last four bytes do, next to the port.
// The offsets hold for IPv4 without options, which is what the first byte
// says, and IPv6 with TCP as its next header: a connection of our own has neither.
func (p *program) match(from netip.AddrPort, index int) {
	ip := from.Addr().As16()
	addr, port := uint32(16-4), uint32(20)
	if from.Addr().Is6() {
		addr, port = 8+16-4, 40
		p.load(unix.BPF_H, skfNet)
		p.put(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0xf000)
		p.unless(0x6000, 7)
		p.load(unix.BPF_B, skfNet+6)
		p.unless(unix.IPPROTO_TCP, 5)
	} else {
		p.load(unix.BPF_B, skfNet)
		p.unless(0x45, 5)
	}
	p.load(unix.BPF_W, skfNet+addr)
	p.unless(binary.BigEndian.Uint32(ip[12:]), 3)
	p.load(unix.BPF_H, skfNet+port)
	p.unless(uint32(from.Port()), 1)
	p.answer(index)
}

// matchCheck sends the connections to CheckAddr to index, ahead of all others.
func (p *program) matchCheck(index int) {
	ip := CheckAddr().As4()
	p.load(unix.BPF_B, skfNet)
	p.put(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0xf0)
	p.unless(0x40, 3)
	p.load(unix.BPF_W, skfNet+16)
	p.unless(binary.BigEndian.Uint32(ip[:]), 1)
	p.answer(index)
}

// attach makes it the program of the group that fd is in, at once and for
// every connection that begins from now on. fd must listen: on a socket
// outside any group it would succeed and mean nothing.
func (p *program) attach(fd int) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(p.code)), Filter: &p.code[0]})
}
