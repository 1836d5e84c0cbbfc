package shares

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/netip"
)

// By is what decides to which side of a divided address a connection goes. It can be
// compared, and is its own text on a wire:
//
//	""                          chance, for each connection
//	client:SALT                 a hash of the source address (of IPv6 its /64) with the
//	                            salt, 32 bits in hexadecimal
//	10.0.0.0/8,2001:db8::/32    the source is of one of these networks, whatever the share
type By string

// Random is by chance.
const Random By = ""

const (
	client      = "client"
	maxNetworks = 64 // more than anybody writes; the kernel has room for them
)

// ByClient is by a hash of the source address.
func ByClient(salt uint32) By { return By(client + ":" + strconv.FormatUint(uint64(salt), 16)) }

// ParseBy reads the value of SWAPINIT_CANARY_BY: random, client, or networks separated by
// commas or white space. An address alone is a network of its own. salt is that of client.
// The error is one line that says what is wrong and not what is accepted.
func ParseBy(s string, salt uint32) (By, error) {
	var words []string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r >= '\t' && r <= '\r' }) {
		if len(words) > maxNetworks || !slices.Contains(words, word) { // too many anyway
			words = append(words, word)
		}
	}
	by := strings.Join(words, ",")
	switch {
	case by == "random":
		return Random, nil
	case by == client:
		return ByClient(salt), nil
	case by == "":
		return "", errors.New("no network in it")
	case len(words) > maxNetworks:
		return "", errors.New(strconv.Itoa(len(words)) + " networks in it")
	}
	for _, word := range words {
		if n := network(word); !n.Addr.IsValid() {
			return "", errors.New(strconv.Quote(word[:min(len(word), 64)]) + " is not an address and /bits with no bit set behind these")
		}
	}
	return By(by), nil
}

// Valid reports whether it is one of those above: it may have come from a stranger.
func (b By) Valid() bool {
	if _, ok := b.Client(); ok || b == Random {
		return true
	}
	networks, err := ParseBy(string(b), 0)
	return err == nil && networks == b
}

// Client is the salt. ok: it is by a hash of the source address.
func (b By) Client() (salt uint32, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(b), client+":"), 16, 32)
	return uint32(n), err == nil && ByClient(uint32(n)) == b
}

// ByNetworks reports whether networks decide, where it is Valid.
func (b By) ByNetworks() bool {
	return b != Random && !strings.HasPrefix(string(b), client)
}

// Networks passes those that decide.
func (b By) Networks(each func(Network)) {
	for _, word := range strings.Split(string(b), ",") {
		each(network(word))
	}
}

// Text is b as ParseBy reads it.
func (b By) Text() string {
	switch {
	case b == Random:
		return "random"
	case b.ByNetworks():
		return string(b)
	}
	return client
}

// Network is those addresses that have their first Bits as Addr has them. The others are 0.
type Network struct {
	Addr netip.Addr
	Bits int
}

// Mask has the bits set that count in a 32-bit word of the address.
func (n *Network) Mask(word int) uint32 {
	return ^uint32(uint64(1<<32-1) >> min(max(n.Bits-32*word, 0), 32))
}

// network reads one; it has no Addr where word is none. Bits set behind it are an error:
// the address or the length is not what was meant. An IPv4-mapped one is of IPv4, as which
// its connections come.
func network(word string) (n Network) {
	host, digits, given := strings.Cut(word, "/")
	a, err := netip.ParseAddr(host)
	b := a.AsSlice()
	bits := uint64(8 * len(b))
	if given && err == nil {
		bits, err = strconv.ParseUint(digits, 10, 8)
	}
	if err != nil || int(bits) > 8*len(b) || len(digits) > 1 && digits[0] == '0' {
		return n
	}
	for i, c := range b {
		if c<<min(max(int(bits)-8*i, 0), 8) != 0 {
			return n
		}
	}
	n = Network{a.Unmap(), int(bits)}
	if a.Is4In6() {
		n.Bits -= 96
	}
	return n
}
