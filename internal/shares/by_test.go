package shares

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// What is written is accepted, or says what is wrong with it.
func TestParseBy(t *testing.T) {
	many := ""
	for n := range maxNetworks {
		many += "10.0.0." + strconv.Itoa(n) + ","
	}
	for in, want := range map[string]string{
		"random": "", " random ": "", "client": "client:2a", "client,": "client:2a",
		"10.0.0.0/8": "10.0.0.0/8", "10.0.0.0/8, 2001:db8::/32\n": "10.0.0.0/8,2001:db8::/32", "192.0.2.7": "192.0.2.7", "::1": "::1", "0.0.0.0/0 ::/0": "0.0.0.0/0,::/0",
		many + many: strings.TrimSuffix(many, ","), "::ffff:10.0.0.0/104": "::ffff:10.0.0.0/104", "10.1.2.3/32": "10.1.2.3/32", many: strings.TrimSuffix(many, ","),
	} {
		by, err := ParseBy(in, 42)
		if string(by) != want || err != nil {
			t.Errorf("%q is %q, %v, want %q", in, by, err, want)
		}
		if !by.Valid() || by.ByNetworks() != strings.ContainsAny(want, ".") && !strings.Contains(want, "::") {
			t.Errorf("%q: valid %v, networks %v", by, by.Valid(), by.ByNetworks())
		}
		if again, err := ParseBy(by.Text(), 42); again != by || err != nil {
			t.Errorf("%q is shown as %q", by, by.Text())
		}
	}
	for in, want := range map[string]string{
		"": "no network", " , ": "no network", "Client": `"Client" is not`, "client,10.0.0.0/8": `"client" is not`, "random client": `"random" is not`, "10.0.0.0/33": "is not", "10.0.0.0/": "is not",
		"10.0.0.1/8": `"10.0.0.1/8" is not an address and /bits with no bit set behind these`, "10.0.0.0/-1": "is not", "10.0.0.0/+8": "is not", "::/129": "is not", "::1/64": "is not", "2001:db8::/16": "is not",
		"10.0.0.0/8/8": "is not", "10.0.0.0/08": "is not", "0.0.0.0/00": "is not", "fe80::1%eth0": "is not", "::ffff:10.0.0.0/95": "is not", "10.0.0": "is not", "/8": "is not", "client:2a": "is not",
		many + "10.0.0.0/8": "65 networks", strings.Repeat("x", 1000): `"` + strings.Repeat("x", 64) + `"`,
	} {
		by, err := ParseBy(in, 42)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is %q, %v, want %q", in, by, err, want)
		}
	}
}

// A stranger's is looked at.
func TestValid(t *testing.T) {
	for in, want := range map[By]bool{
		"": true, "client:0": true, "client:ffffffff": true, "10.0.0.0/8": true,
		"random": false, "client": false, "client:": false, "client:00": false, "client:2A": false, "client:100000000": false, "client:-1": false, "2a": false, "10.0.0.0/8,": false, "10.0.0.0/8, ::/0": false, "10.0.0.1/8": false, "x": false,
	} {
		if in.Valid() != want {
			t.Errorf("%q: %v", in, in.Valid())
		}
	}
	for _, salt := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
		if got, ok := ByClient(salt).Client(); got != salt || !ok {
			t.Errorf("%#x is %#x, %v", salt, got, ok)
		}
	}
}

// A network has the addresses that net/netip says.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::/33", "::ffff:10.0.0.0/104", "::ffff:0:0/96", "10.1.2.3/32", "::1/128", "1.2.3.4/31", "1.2.3.4/30", "1.2.3.4/08", "", "/", "x/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := netip.ParsePrefix(s)
		got := network(s)
		if err != nil {
			if got.Addr.IsValid() && strings.Contains(s, "/") {
				t.Fatalf("%q is %v, want %v", s, got, err)
			}
			return
		}
		if got.Addr.IsValid() != (want == want.Masked()) {
			t.Fatalf("%q is %v, masked %v", s, got, want.Masked())
		}
		if !got.Addr.IsValid() {
			return
		}
		bits, addr := want.Bits(), want.Addr()
		if addr.Is4In6() {
			bits, addr = bits-96, addr.Unmap()
		}
		if got.Addr.String() != addr.String() || got.Bits != bits {
			t.Fatalf("%q is %v/%d", s, got.Addr, got.Bits)
		}
		all := 0
		for word := range len(addr.AsSlice()) / 4 {
			mask := got.Mask(word)
			for mask != 0 && mask>>31 == 1 {
				mask <<= 1
				all++
			}
			if mask != 0 {
				t.Fatalf("%q: mask %#x of word %d", s, got.Mask(word), word)
			}
		}
		if all != bits {
			t.Fatalf("%q: %d bits in its masks", s, all)
		}
	})
}
