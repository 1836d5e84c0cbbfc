package netip

import (
	"errors"
	"net/netip"
	"testing"
)

var texts = []string{
	"", ":", "::", ":::", "::1", "1::", "::1%", "::1%eth0", "%eth0", "fe80::zz%eth0", "1.2.3.4%eth0", "x",
	"1.2.3.4", "01.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "+1.2.3.4", "1.2.3.4 ",
	"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1::2::3", "1:", ":1", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7",
	"::ffff:1.2.3.4", "::ffff:102:304", "::1.2.3.4", "1.2.3.4::", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "64:ff9b::1.2.3.4", "::ffff:169.254.1.1", "::ffff:224.0.0.1", "::ffff:0.0.0.0",
	"00001::", "0001::", "g::", "+1::", "fe80::1", "febf::1", "fec0::1", "ff02::1", "169.254.0.1", "224.0.0.251", "240.0.0.1", "127.0.0.1", "127.255.0.1", "126.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1",
	"2001:db8::1:0:0:1", "2001:0:0:1:0:0:0:1", "2001:db8:0:1:1:1:1:1", "1:0:0:2:0:0:3:4", "0:0:1::", "A:B::C",
}

// It agrees with net/netip about every text, but that a zone is an error.
func check(t *testing.T, s string) {
	t.Helper()
	a, err := ParseAddr(s)
	want, fails := netip.ParseAddr(s)
	if fails == nil && want.Zone() != "" {
		if !errors.Is(err, ErrZone) {
			t.Errorf("%q: %v, %v, want ErrZone", s, a, err)
		}
		return
	}
	if (err == nil) != (fails == nil) {
		if err != ErrZone { // net/netip refuses a zone of an IPv4-mapped address
			t.Errorf("%q: %v, %v, want %v, %v", s, a, err, want, fails)
		}
		return
	}
	if err != nil {
		if a.IsValid() {
			t.Errorf("%q: %v in spite of %v", s, a, err)
		}
		return
	}
	if a.String() != want.String() || a.As16() != want.As16() || string(a.AsSlice()) != string(want.AsSlice()) ||
		a.Is4() != want.Is4() || a.Is6() != want.Is6() || a.Is4In6() != want.Is4In6() || a.Unmap().String() != want.Unmap().String() ||
		a.IsUnspecified() != want.IsUnspecified() || a.IsMulticast() != want.IsMulticast() || a.IsLoopback() != want.Unmap().IsLoopback() || a.IsLinkLocalUnicast() != want.IsLinkLocalUnicast() {
		t.Errorf("%q is %v, want %v", s, a, want)
	}
	if a.Is4() && a != AddrFrom4(want.As4()) || a.Is4() && a.As4() != want.As4() || a.Is6() && a != AddrFrom16(want.As16()) {
		t.Errorf("%q: its bytes are %v, want %v", s, a.AsSlice(), want.AsSlice())
	}
	p := AddrPortFrom(a, 8080)
	if again, err := ParseAddrPort(p.String()); err != nil || again != p || p.String() != netip.AddrPortFrom(want, 8080).String() {
		t.Errorf("%v is read as %v, %v", p, again, err)
	}
}

func checkPort(t *testing.T, s string) {
	t.Helper()
	p, err := ParseAddrPort(s)
	want, fails := netip.ParseAddrPort(s)
	if (err == nil) != (fails == nil) && err != ErrZone {
		t.Errorf("%q: %v, %v, want %v, %v", s, p, err, want, fails)
	}
	if err == nil && (p.String() != want.String() || p.Port() != want.Port() || p.Addr().String() != want.Addr().String() || !p.IsValid()) {
		t.Errorf("%q is %v, want %v", s, p, want)
	}
}

func TestAgrees(t *testing.T) {
	for _, s := range texts {
		check(t, s)
		for _, port := range []string{"", ":", ":0", ":80", ":65535", ":65536", ":+1", ":x", ":080", "::80"} {
			checkPort(t, s+port)
			checkPort(t, "["+s+"]"+port)
			checkPort(t, "["+s+port)
			checkPort(t, s+"]"+port)
		}
	}
}

func TestZero(t *testing.T) {
	var a Addr
	var p AddrPort
	if a.IsValid() || p.IsValid() || a.Is4() || a.Is6() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback() {
		t.Error("no address is one")
	}
	if a.String() != (netip.Addr{}).String() || p.String() != (netip.AddrPort{}).String() {
		t.Errorf("they are %v and %v", a, p)
	}
	if IPv4Unspecified().String() != "0.0.0.0" || IPv6Unspecified().String() != "::" || IPv6Loopback().String() != "::1" {
		t.Error("the well-known ones are not")
	}
}

func FuzzAgrees(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check(t, s)
		checkPort(t, s)
	})
}
