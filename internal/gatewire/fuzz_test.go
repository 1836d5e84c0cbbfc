package gatewire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// What is read is sent again as the same, and is what encoding/json reads.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"kind":"hello","min":1,"max":2,"container":"c","release":"r","life":"l","state":"holder","generation":3,"epoch":9223372036854775807,"sockets":[{"endpoint":"8080","generation":1}],"fds":1}`,
		`{"v":1,"kind":"welcome","version":1,"epoch":7,"role":"kept","order":3,"endpoints":[{"name":"8080","text":":8080","twin":true,"waits":true,"unseen":"ä"}],"fresh":true,"healthy":true}`,
		`{"v":1,"kind":"call","id":1,"op":"aim","endpoint":"8080","generation":2,"rest":1,"share":50,"by":"client:2a"}`,
		`{"v":1,"kind":"answer","id":1,"error":"no","code":"full","looks":[{"generation":1,"open":2,"idle":1,"half":0,"queued":-0,"unseen":true},{}],"yes":true}`,
		`{"v":1,"kind":"lost","epoch":8,"reason":"\ud83d\ude00\u0000","rolled_back":true,"new":[1e5]}`,
		`{"v":1,"kind":"call","looks":[null]}`, `{"v":1,"kind":"x","fds":-1}`, `{"v":1,"kind":"x","fds":1e2}`, `{"v":2,"kind":"x"}`, `{"v":1}`, `[]`, "\xff", `{"v":1,"kind":"x","kind":"y"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line)
		if err != nil {
			if m != nil || len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%+v, %v", m, err)
			}
			return
		}
		var theirs map[string]any // a struct would take names in other letter cases
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&theirs); err != nil || theirs["v"] != json.Number("1") || theirs["kind"] != string(m.Kind) {
			t.Fatalf("%q gave %+v, want %v, %v", line, m, theirs, err)
		}
		if n, ok := theirs["fds"].(json.Number); ok && n != "-0" && n != json.Number(strconv.Itoa(m.FDs)) || !ok && m.FDs != 0 {
			t.Fatalf("%q has %d descriptors", line, m.FDs)
		}
		if m.FDs < 0 || m.FDs > MaxFDs || m.Kind == "" {
			t.Fatalf("%+v", m)
		}
		again, err := encode(m)
		if err != nil {
			if errors.Is(err, ErrTooLarge) && len(line) > MaxLine/8 {
				return
			}
			t.Fatal(err)
		}
		same, err := decode(again[:len(again)-1])
		if err != nil {
			t.Fatalf("%q: %v", again, err)
		}
		for _, m := range []*Message{m, same} { // an empty list is none
			if len(m.Sockets) == 0 {
				m.Sockets = nil
			}
			if len(m.Endpoints) == 0 {
				m.Endpoints = nil
			}
			if len(m.Looks) == 0 {
				m.Looks = nil
			}
			for i := range m.Looks {
				if len(m.Looks[i].Busy) == 0 {
					m.Looks[i].Busy = nil
				}
			}
		}
		if !reflect.DeepEqual(m, same) {
			t.Fatalf("%+v became %+v", m, same)
		}
	})
}

// FuzzStream sends a stream in pieces of any size, with descriptors at any of them. Each
// byte of plan is one piece: its low bits say how long it is, the others how many
// descriptors come with it. Nothing is leaked, and whatever is received is complete.
func FuzzStream(f *testing.F) {
	const one, two = `{"v":1,"kind":"a"}` + "\n", `{"v":1,"kind":"b","fds":2}` + "\n"
	f.Add([]byte(one+two+one), []byte{255, 255})
	f.Add([]byte(two), []byte{0x41, 0x05, 0x1f})
	f.Add([]byte(two+two), []byte{0x5f})
	f.Add([]byte(one+two), []byte{0x13, 0x5f})
	f.Add([]byte(one+two), []byte{0x12, 0x01, 0x5f})
	f.Add([]byte(two+"\n"), []byte{0x5b, 0xe1})
	f.Add([]byte(strings.Repeat("x", 2000)), []byte{0xff, 0xff, 0xff})
	spare := make([]int, 7)
	for i := range spare {
		var p [2]int
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			f.Fatal(err)
		}
		spare[i] = p[0]
		syscall.Close(p[1])
	}
	f.Fuzz(func(t *testing.T, stream, plan []byte) {
		before := open(t)
		a, b := pair(t)
		in := NewConn(a)
		var sender sync.WaitGroup
		sender.Go(func() {
			defer syscall.Close(b)
			for len(stream) > 0 {
				n, fds := len(stream), 0
				if len(plan) > 0 {
					n, fds, plan = min(n, int(plan[0]&31)+1), int(plan[0]>>5), plan[1:]
				}
				var rights []byte
				if fds > 0 {
					rights = syscall.UnixRights(spare[:fds]...)
				}
				if _, err := syscall.SendmsgN(b, stream[:n], rights, nil, syscall.MSG_NOSIGNAL); err != nil {
					return
				}
				stream = stream[n:]
			}
		})
		for {
			m, fds, err := in.Recv()
			if err != nil {
				if len(fds) > 0 || err != io.EOF && len(err.Error()) > 300 {
					t.Errorf("%v with %d descriptors", err, len(fds))
				}
				break
			}
			if len(fds) != m.FDs {
				t.Errorf("%d descriptors, %d are said", len(fds), m.FDs)
			}
			closeAll(fds)
		}
		in.Close()
		sender.Wait()
		if after := open(t); after > before {
			t.Fatalf("%d descriptors are open, %d were before", after, before)
		}
	})
}
