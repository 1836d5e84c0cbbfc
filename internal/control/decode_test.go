package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// oracle reads a line with encoding/json. It knows no more than we do about
// names in other letter cases, so it works on maps.
func oracle(t *testing.T, line []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil || m == nil || !json.Valid(line) {
		t.Fatalf("accepted %q, which is no JSON object: %v", line, err)
	}
	return m
}

// same compares a struct of ours with an object of the oracle, in which what is
// absent or null stands for a zero value. names are the wire's, in the struct's
// order; fields without one are not compared.
func same(t *testing.T, got any, object any, names ...string) {
	t.Helper()
	v := reflect.ValueOf(got)
	m, _ := object.(map[string]any)
	for i, name := range names {
		field := v.Field(i)
		if field.Kind() == reflect.Pointer && !field.IsNil() {
			field = field.Elem()
		}
		want := m[name]
		ours := fmt.Sprintf("%q", fmt.Sprint(field.Interface()))
		if list, ok := want.([]any); ok {
			// Words may have any text in them, so they are compared one by one.
			if field.Len() != len(list) {
				t.Fatalf("%s is %v, want %v", name, field, list)
			}
			for i, w := range list {
				if fmt.Sprint(w) != fmt.Sprint(field.Index(i).Interface()) {
					if n, ok := w.(json.Number); !ok || n.String() != "-0" {
						t.Fatalf("%s[%d] is %q, want %q", name, i, field.Index(i), w)
					}
				}
			}
			continue
		}
		if want == nil || want == json.Number("-0") {
			if !v.Field(i).IsZero() && ours != `"0"` {
				t.Fatalf("%s is %s, want none", name, ours)
			}
			continue
		}
		if w := fmt.Sprintf("%q", fmt.Sprint(want)); ours != w {
			t.Fatalf("%s is %s, want %s", name, ours, w)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"verb":"swap","args":{"command":["a","b"],"timeout_ms":5,"no_wait":true}}`,
		`{"v":1,"verb":"status"}`, `{"v":1,"verb":"stop","args":null}`, `{"v":2}`, `null`, "\xff", `{"v":1,"verb":"swap","args":{"command":["\u0000"]}}`,
		`{"v":1,"verb":"swap","args":{"command":["\ud83d\ude00\"\\\/\b\f\n\r\t"],"timeout_ms":-0}}`,
		`{"v":1,"verb":"health","x":[1e5,{"y":"\ud800"}],"v":1}`,
		`{"v":1,"verb":"health","x":[1e5,{"y":[]}], "z":-inf}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		req, refusal := decodeRequest(line)
		if refusal != nil {
			if refusal.OK || refusal.Code == "" || refusal.Error == "" || len(refusal.Error) > 600 {
				t.Fatalf("refused with %+v", refusal)
			}
			oracle(t, encodeReply(*refusal))
			return
		}
		m := oracle(t, line)
		if m["v"] != json.Number("1") || m["verb"] != req.Verb {
			t.Fatalf("%q gave %+v", line, req)
		}
		same(t, req.Swap, m["args"], "command", "timeout_ms", "no_wait")
		args, _ := m["args"].(map[string]any)
		for name := range args {
			if req.Verb != VerbSwap || !strings.Contains(" command timeout_ms no_wait ", " "+name+" ") {
				t.Fatalf("accepted the arg %q of %s", name, req.Verb)
			}
		}
		if req.Swap.TimeoutMS < 0 || req.Swap.Timeout() < 0 {
			t.Fatalf("timeout %d", req.Swap.TimeoutMS)
		}
		for _, w := range req.Swap.Command {
			if strings.Contains(w, "\x00") {
				t.Fatalf("NUL in %q", req.Swap.Command)
			}
		}
		// What was understood is what is sent again.
		again, refusal := decodeRequest(encodeRequest(req))
		if refusal != nil || !reflect.DeepEqual(again, req) && len(req.Swap.Command) > 0 {
			t.Fatalf("%+v became %+v, %v", req, again, refusal)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"event":"started","generation":2,"pid":7,"message":"m","ms":12}`, `{"v":1,"event":null,"ok":false,"error":"no","code":"busy"}`,
		`{"v":1,"ok":true,"version":"1","generation":3,"status":{"v":1,"pid":1,"ready":true,"generations":[{"generation":2,"state":"active","pid":7,"pids":[7,8],"uptime_ms":5000,"ready_ms":1200,"command":["/a","\u00e4"],"dir":"/d","status":"s"}],"endpoints":[{"name":"8080","address":"tcp://[::]:8080","inherited":true}],"last_swap":{"generation":2,"ok":true,"reason":"x"}}}`,
		`{"v":1,"ok":true,"status":{"generations":null,"endpoints":[],"last_swap":null,"ready":null}}`,
		`{"v":1,"ok":true,"status":{"generations":[{"ready_ms":0,"pids":[-0]}]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, r, err := decodeAnswer(line)
		if err != nil {
			if e != nil || r != nil {
				t.Fatal("both an answer and an error")
			}
			return
		}
		m := oracle(t, line)
		if (e != nil) == (r != nil) || m["v"] != json.Number("1") {
			t.Fatalf("%q gave %v and %v", line, e, r)
		}
		if e != nil {
			same(t, *e, m, "event", "generation", "pid", "message", "ms")
			return
		}
		status := r.Status
		r.Status = nil
		same(t, *r, m, "ok", "error", "code", "generation", "version")
		s, _ := m["status"].(map[string]any)
		if (status != nil) != (s != nil) {
			t.Fatalf("status %v, want %v", status, s)
		}
		if status == nil {
			return
		}
		same(t, *status, s, "v", "pid", "ready")
		generations, _ := s["generations"].([]any)
		endpoints, _ := s["endpoints"].([]any)
		if len(status.Generations) != len(generations) || len(status.Endpoints) != len(endpoints) || (status.LastSwap != nil) != (s["last_swap"] != nil) {
			t.Fatalf("status %+v, want %v", status, s)
		}
		for i, g := range status.Generations {
			same(t, g, generations[i], "generation", "state", "pid", "pids", "uptime_ms", "ready_ms", "command", "dir", "status")
		}
		for i, p := range status.Endpoints {
			same(t, p, endpoints[i], "name", "address", "inherited")
		}
		if status.LastSwap != nil {
			same(t, *status.LastSwap, s["last_swap"], "generation", "ok", "reason")
		}
		// It is printed as one object of text that prints, and says the same.
		text := encodeReply(Reply{OK: true, Status: status})
		_, again, err := decodeAnswer(text)
		if err != nil || again.Status.JSON() != status.JSON() {
			t.Fatalf("%+v became %+v, %v", status, again, err)
		}
		for _, c := range string(text[:len(text)-1]) {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Fatalf("%U came through", c)
			}
		}
	})
}
