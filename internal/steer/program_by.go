package steer

import (
	"encoding/binary"

	"github.com/swapinit/swapinit/internal/shares"
	"golang.org/x/sys/unix"
)

// Where the source address is, from the IP header on: options of IPv4 stand behind it. On
// the wire IPv4 to a dual-stack socket is IPv4.
const (
	source4 = skfNet + 12
	source6 = skfNet + 8
)

// Codes of instructions, as short as a listing of them needs.
const (
	loadB  = unix.BPF_LD | unix.BPF_ABS | unix.BPF_B
	loadW  = unix.BPF_LD | unix.BPF_ABS | unix.BPF_W
	loadX  = unix.BPF_LDX | unix.BPF_IMM
	loadM  = unix.BPF_LD | unix.BPF_MEM
	storeM = unix.BPF_ST
	and    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	shift  = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
	times  = unix.BPF_ALU | unix.BPF_MUL | unix.BPF_K
	xor    = unix.BPF_ALU | unix.BPF_XOR | unix.BPF_K
	xorX   = unix.BPF_ALU | unix.BPF_XOR | unix.BPF_X
	toX    = unix.BPF_MISC | unix.BPF_TAX
	jump   = unix.BPF_JMP | unix.BPF_JA
	ifIs   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
)

// hash loads a hash of the source address, of IPv6 its /64: hosts change the rest of
// theirs from day to day (RFC 8981). It is the finalizer of MurmurHash3: where two words
// differ in one bit, half of the bits differ afterwards. The salt is yet to be put in.
var hash = [...]unix.SockFilter{
	{Code: loadB, K: skfNet}, {Code: and, K: 0xf0}, {Code: ifIs, K: 0x60, Jf: 16},
	{Code: loadW, K: source6}, {Code: xor}, // K: salt
	{Code: toX}, {Code: shift, K: 16}, {Code: xorX}, {Code: times, K: 0x85ebca6b},
	{Code: toX}, {Code: shift, K: 13}, {Code: xorX}, {Code: times, K: 0xc2b2ae35},
	{Code: toX}, {Code: shift, K: 16}, {Code: xorX},
	{Code: toX}, {Code: loadW, K: source6 + 4}, {Code: jump, K: 2},
	{Code: loadX}, {Code: loadW, K: source4}, {Code: xorX}, // K: salt
	{Code: toX}, {Code: shift, K: 16}, {Code: xorX}, {Code: times, K: 0x85ebca6b},
	{Code: toX}, {Code: shift, K: 13}, {Code: xorX}, {Code: times, K: 0xc2b2ae35},
	{Code: toX}, {Code: shift, K: 16}, {Code: xorX},
}

// Where in hash the salt is.
const salt6, salt4 = 4, 19

func (p *program) hash(salt uint32) {
	begin := len(p.code)
	p.code = append(p.code, hash[:]...)
	p.code[begin+salt6].K, p.code[begin+salt4].K = salt, salt
}

// networks sends those of the networks to one index and the rest to the other. What they
// are told by is kept in M: a load from there is one instruction of the kernel's own, one
// from the packet is many, and all of them have to fit net.core.optmem_max. What is loaded
// is there of IPv4, too, if only to the end in the header of TCP.
func (p *program) networks(by shares.By, to, rest int) {
	p.code = append(p.code, hash[:2]...)
	p.put(storeM, 0)
	for i := uint32(1); i <= 4; i++ {
		p.put(loadW, source6+4*(i-1))
		p.put(storeM, i)
	}
	by.Networks(func(n shares.Network) {
		b := n.Addr.AsSlice()
		at, family := uint32(1), uint32(0x60)
		if len(b) == 4 {
			at, family = at+(source4-source6)/4, 0x40
		}
		left := (n.Bits + 31) / 32
		p.is(0, ^uint32(0), family, left)
		for i := 0; left > 0; i++ {
			left--
			p.is(at+uint32(i), n.Mask(i), binary.BigEndian.Uint32(b[4*i:]), left)
		}
		p.answer(to)
	})
	p.answer(rest)
}

// is goes on to the next network, behind so many tests that are left of this one, unless
// what M has under mask is k.
func (p *program) is(m, mask, k uint32, left int) {
	p.put(loadM, m)
	p.put(and, mask)
	p.unless(k, uint8(3*left+1))
}
