package procnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseUnix(t *testing.T) {
	for line, want := range map[string]string{
		"0000000063290fb2: 00000002 00000000 00010000 0001 01  4408 @swapinit/4026531836": "true 1 1 4408 @swapinit/4026531836",
		"0000000063290fb3: 00000003 00000000 00000000 0001 03  4409 /run/a b":             "false 1 3 4409 /run/a b",
		"0000000063290fb3: 00000003 00000000 00000000 0005 02     0  /run":                "false 5 2 0  /run",
		"0000000063290fbe: 00000002 00000000 00000000 0002 01 4414":                       "false 2 1 4414 ",
		"Num       RefCount Protocol Flags    Type St Inode Path":                         "",
		"0000000063290fbd: 00000002 00000000 zz 0001 01  4413 @a":                         "",
		"0000000063290fbd: 00000002 00000000 00010000 0001 01":                            "",
		"": "",
	} {
		var u Unix
		got := ""
		if u.parse([]byte(line)) {
			got = fmt.Sprint(u.Listens, " ", u.Type, " ", u.State, " ", u.Inode, " ", string(u.Name))
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func FuzzParseUnix(f *testing.F) {
	f.Add([]byte("0: 2 0 00010000 0001 01 1 /a"))
	f.Add([]byte("      "))
	f.Fuzz(func(t *testing.T, line []byte) {
		var u Unix
		if u.parse(line) && !strings.HasSuffix(string(line), string(u.Name)) {
			t.Errorf("%q: name %q", line, u.Name)
		}
	})
}

// Lines of any length, cut anywhere.
func TestEachLine(t *testing.T) {
	name := t.TempDir() + "/table"
	var want []string
	for n := range 300 {
		want = append(want, strings.Repeat(string(rune('a'+n%26)), n*7%200))
	}
	text := strings.Join(want, "\n") + "\n"
	for _, c := range []struct {
		text string
		want []string
	}{
		{text, want},
		{text + "no end", want},
		{strings.Repeat("x", 2048*2) + "\n" + text, append([]string{""}, want...)}, // passed over
		{"", nil},
	} {
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := eachLine(name, func(line []byte) { got = append(got, string(line)) }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%d lines, want %d", len(got), len(c.want))
		}
	}
	if err := eachLine(name+".none", nil); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLoopback(t *testing.T) {
	word := func(b ...byte) string { return digits(binary.NativeEndian.Uint32(b), 8) }
	none := word(0, 0, 0, 0)
	for text, want := range map[string]bool{
		word(127, 0, 0, 1): true, word(127, 0, 0, 11): true, none: false, word(10, 0, 0, 127): false, "": false, "x": false,
		none + none + none + word(0, 0, 0, 1): true, none + none + none + none: false,
		none + none + word(0, 0, 255, 255) + word(127, 0, 0, 2): true, none + none + word(0, 0, 255, 255) + word(10, 0, 0, 1): false,
		word(32, 1, 13, 184) + none + none + word(0, 0, 0, 1): false,
	} {
		if loopback([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !Outside() {
		t.Error("a socket for all addresses is not seen")
	}
}

func TestListening(t *testing.T) {
	name := t.TempDir() + "/a b"
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": name} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Log(err) // no IPv6
			continue
		}
		defer l.Close()
		file, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		inode, err := Inode(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		want := uint16(0)
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			want = uint16(tcp.Port)
		}
		if port, ok := Listening()[inode]; !ok || port != want {
			t.Errorf("%s: port %d, %v, want %d", network, port, ok, want)
		}
	}
	seen := 0
	if err := EachUnix(func(u *Unix) {
		if string(u.Name) == name && u.Listens && u.Type == unix.SOCK_STREAM {
			seen++
		}
	}); err != nil || seen != 1 {
		t.Errorf("%d, %v", seen, err)
	}
}

func TestNamespace(t *testing.T) {
	for _, kind := range []string{"pid", "net"} {
		inode, err := Namespace(kind)
		if link, _ := os.Readlink("/proc/self/ns/" + kind); err != nil || link != fmt.Sprintf("%s:[%d]", kind, inode) {
			t.Errorf("%s: %d, %v", kind, inode, err)
		}
	}
	if _, err := Namespace("none"); err == nil {
		t.Error("no error")
	}
}

func TestField(t *testing.T) {
	const status = "Name:\tsh\nTgid:\t7\nUid:\t1\t2\t3\t4\nLast:  x"
	for name, want := range map[string]string{"Name": "sh", "Tgid": "7", "Uid": "1\t2\t3\t4", "Last": "x", "gid": "", "None": ""} {
		if got := Field(status, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
