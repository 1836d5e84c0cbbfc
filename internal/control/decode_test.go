package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/wire"
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
// order; fields without one, or with "", are not compared.
func same(t *testing.T, got any, object any, names ...string) {
	t.Helper()
	v := reflect.ValueOf(got)
	m, _ := object.(map[string]any)
	for i, name := range names {
		if name == "" {
			continue
		}
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

// sameShare compares a share with the oracle's number of percent.
func sameShare(t *testing.T, got int, object any) {
	t.Helper()
	m, _ := object.(map[string]any)
	n, _ := m["share"].(json.Number)
	if n == "" {
		n = "0"
	}
	want, err := n.Float64()
	if err != nil || math.Abs(want*100-float64(got)) > 0.500001 || got < 0 || got > shares.Full {
		t.Fatalf("share is %d, want %s %%: %v", got, n, err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"verb":"swap","args":{"command":["a","b"],"timeout_ms":5,"no_wait":true,"canary":"1%/10s","canary_by":"client"}}`, `{"v":1,"verb":"rollback","args":{}}`, `{"v":1,"verb":"promote","args":{"canary":""}}`,
		`{"v":1,"verb":"swap","args":{"cancel":true}}`, `{"v":1,"verb":"swap","args":{"strategy":"replace","follow":true}}`, `{"v":1,"verb":"restart","args":{"force":true,"no_wait":false,"timeout_ms":1}}`, `{"v":1,"verb":"restart","args":{"side":"cron"}}`,
		`{"v":1,"verb":"message","args":{"data": [1.50e1, "\u0061\ud83d\ude00\/", {"\u0062" : null, "b":{}}] }}`, `{"v":1,"verb":"message","args":{"d\u0061ta":"\u0061\n"}}`,
		"{\"v\":1,\"verb\":\"message\",\"args\":{\"data\":\"\x01\\n\"}}",
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
			oracle(t, encode(refusal))
			return
		}
		m := oracle(t, line)
		if m["v"] != json.Number("1") || m["verb"] != req.Verb {
			t.Fatalf("%q gave %+v", line, req)
		}
		same(t, req.Swap, m["args"], "command", "timeout_ms", "no_wait", "canary", "canary_by", "strategy", "follow", "force", "cancel", "side")
		args, _ := m["args"].(map[string]any)
		known := map[string]string{VerbSwap: " command timeout_ms no_wait canary canary_by strategy follow cancel ", VerbRestart: " timeout_ms no_wait force side ", VerbMessage: " data "}
		for name := range args {
			if !strings.Contains(known[req.Verb], " "+name+" ") {
				t.Fatalf("accepted the arg %q of %s", name, req.Verb)
			}
		}
		if req.Swap.TimeoutMS < 0 || req.Swap.Timeout() < 0 {
			t.Fatalf("timeout %d", req.Swap.TimeoutMS)
		}
		if (req.Verb == VerbMessage) != (req.Data != "") || strings.ContainsAny(req.Data, "\r\n") {
			t.Fatalf("%s has data %q", req.Verb, req.Data)
		}
		if req.Verb == VerbMessage {
			// The same text less white space: what is escaped stays escaped.
			if want := compact(t, line); req.Data != want {
				t.Fatalf("data is %s, want %s", req.Data, want)
			}
		}
		for _, w := range req.Swap.Command {
			if strings.Contains(w, "\x00") {
				t.Fatalf("NUL in %q", req.Swap.Command)
			}
		}
		// What was understood is what is sent again.
		again, refusal := decodeRequest(encode(&req))
		if len(req.Swap.Command) == 0 {
			req.Swap.Command = nil // an empty list asks for nothing
		}
		if refusal != nil || !reflect.DeepEqual(again, req) {
			t.Fatalf("%+v became %+v, %v", req, again, refusal)
		}
	})
}

// compact is the data in a message as encoding/json sees it.
func compact(t *testing.T, line []byte) string {
	t.Helper()
	var m, args map[string]json.RawMessage
	var b bytes.Buffer
	if json.Unmarshal(line, &m) != nil || json.Unmarshal(m["args"], &args) != nil || json.Compact(&b, args["data"]) != nil {
		t.Fatalf("no data in %q", line)
	}
	return b.String()
}

func sameSwap(t *testing.T, l LastSwap, of any) {
	t.Helper()
	same(t, l, of, "generation", "ok", "reason", "outcome", "outcome_at", "ago_ms", "began", "ended", "pid")
	stages, _ := of.(map[string]any)["stages"].([]any)
	if len(l.Stages) != len(stages) {
		t.Fatalf("stages %+v, want %v", l.Stages, stages)
	}
	for i, s := range l.Stages {
		same(t, s, stages[i], "stage", "at_ms", "ms")
		sameShare(t, s.Share, stages[i])
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"event":"started","generation":2,"pid":7,"message":"m","ms":12}`, `{"v":1,"event":"canary","generation":2,"share":0.29}`, `{"v":1,"event":"canary","share":1e-9}`,
		`{"v":1,"ok":true,"delivered":0,"exit":null}`, `{"v":1,"ok":false,"exit":137,"delivered":-1}`,
		`{"v":1,"event":null,"ok":false,"error":"no","code":"busy"}`,
		`{"v":1,"ok":true,"version":"1","generation":3,"status":{"v":1,"pid":1,"ready":true,"generations":[{"generation":2,"state":"active","pid":7,"pids":[7,8],"uptime_ms":5000,"ready_ms":1200,"command":["/a","\u00e4"],"dir":"/d","status":"s","share":25.01,"open":3,"idle":0,"queued":null,"workers":[{"worker":0,"pid":7,"ready":true,"restarts":2},{}],"since_ms":4,"left_ms":null,"kept":true,"busy":[{"peer":"p","age_ms":1,"why":"w","endpoint":"e"}],"busy_more":2}],"endpoints":[{"name":"8080","address":"tcp://[::]:8080","inherited":true,"adopted":true,"steered":false,"reason":"r"}],"sides":[{"name":"cron","pid":9,"uptime_ms":5,"restarts":2,"command":["cron","-f"],"reason":"r"},{}],"swap":{"generation":3,"stage":"canary","since_ms":5,"left_ms":6,"share":0.5},"last_swap":{"generation":2,"ok":true,"reason":"x"}}}`,
		`{"v":1,"ok":false,"error":"no","swap":{"generation":2,"ok":false,"reason":"x","outcome":"failed","outcome_at":"o","ago_ms":1,"began":"b","ended":"e","pid":7,"stages":[{"stage":"started","at_ms":1,"ms":2},{"stage":"canary","share":0.5},{}]}}`,
		`{"v":1,"ok":true,"status":{"generations":null,"endpoints":[],"last_swap":null,"ready":null}}`,
		`{"v":1,"ok":true,"status":{"generations":[{"ready_ms":0,"pids":[-0],"share":-0,"open":-0,"idle":-1}]}}`,
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
			sameShare(t, e.Share, m)
			return
		}
		status, swapped := r.Status, r.Swap
		r.Status, r.Swap = nil, nil
		if (swapped != nil) != (m["swap"] != nil) {
			t.Fatalf("swap %v, want %v", swapped, m["swap"])
		}
		if swapped != nil {
			sameSwap(t, *swapped, m["swap"])
		}
		same(t, *r, m, "ok", "error", "code", "generation", "version", "", "delivered", "exit")
		if (r.Delivered != nil) != (m["delivered"] != nil) || (r.Exit != nil) != (m["exit"] != nil) {
			t.Fatalf("%+v, want %v", r, m)
		}
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
		sides, _ := s["sides"].([]any)
		if len(sides) != len(status.Sides) {
			t.Fatalf("sides %+v, want %v", status.Sides, sides)
		}
		for i, one := range status.Sides {
			same(t, one, sides[i], "name", "pid", "uptime_ms", "restarts", "command", "reason")
		}
		for i, g := range status.Generations {
			same(t, g, generations[i], "generation", "state", "pid", "pids", "uptime_ms", "ready_ms", "command", "dir", "status", "", "open", "idle", "queued")
			workers, _ := generations[i].(map[string]any)["workers"].([]any)
			if len(workers) != len(g.Workers) {
				t.Fatalf("workers %+v, want %v", g.Workers, workers)
			}
			for i, w := range g.Workers {
				same(t, w, workers[i], "worker", "pid", "ready", "restarts")
			}
			if share, _ := generations[i].(map[string]any)["share"].(json.Number); (share != "") != (g.Share != nil) {
				t.Fatalf("share is %v, want %q", g.Share, share)
			}
			if g.Share != nil {
				sameShare(t, *g.Share, generations[i])
			}
		}
		for i, p := range status.Endpoints {
			same(t, p, endpoints[i], "name", "address", "inherited", "adopted", "steered", "reason")
		}
		if status.LastSwap != nil {
			sameSwap(t, *status.LastSwap, s["last_swap"])
		}
		// It is printed as one object of text that prints, and says the same.
		text := encode(&Reply{OK: true, Status: status})
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

// Every share is read back.
func TestShares(t *testing.T) {
	for share := 1; share <= shares.Full; share++ {
		e, _, err := decodeAnswer(encode(&Event{Event: "canary", Share: share}))
		if err != nil || e.Share != share {
			t.Fatalf("%d became %+v, %v", share, e, err)
		}
		g := []Generation{{Share: &share}}
		_, r, err := decodeAnswer(encode(&Reply{Status: &Status{Generations: g}}))
		if err != nil || r.Status.Generations[0].Share == nil || *r.Status.Generations[0].Share != share {
			t.Fatalf("%d became %+v, %v", share, r, err)
		}
	}
	for _, bad := range []string{"-1", "100.01", `"1"`, "true", "[]", "1e300", "-1e300"} {
		if e, _, err := decodeAnswer([]byte(`{"v":1,"event":"canary","share":` + bad + "}")); err == nil || !strings.Contains(err.Error(), "share must be a number") {
			t.Errorf("%s: %+v, %v", bad, e, err)
		}
	}
}

// Text that is JSON is sent as it is, everything else as a string.
func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		"": `""`, "a": `"a"`, "1": "1", " [1, 2]\n": " [1, 2]\n", `{"a":null}`: `{"a":null}`, "{a:1}": `"{a:1}"`, "nan": `"nan"`, "01": `"01"`, "true": "true", "True": `"True"`, "1 2": `"1 2"`,
		`"a`: `"\"a"`, "\"a\tb\"": `"\"a\u0009b\""`, "\"a\tb\\n\"": `"\"a\u0009b\\n\""`, `"\ud800"`: `"\"\\ud800\""`, "\xff": `"` + "\ufffd" + `"`, "\x1b[2J\n": `"\u001b[2J\n"`,
	} {
		if got := JSON(text); got != want {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\u00e4",null]}`, "text\n", "\xff", `"\ud800"`, " 1 ", "[[[", "-inf", "\x00\\\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		data := JSON(text)
		if !json.Valid([]byte(data)) || data != text && json.Valid([]byte(text)) && wire.Wrong([]byte(text)) == "" {
			t.Fatalf("%q became %s", text, data)
		}
		var said string
		if data != text && (json.Unmarshal([]byte(data), &said) != nil || said != text && utf8.ValidString(text)) {
			t.Fatalf("%q became %s, which says %q", text, data, said)
		}
		if line := encode(&Request{Verb: VerbMessage, Data: data}); bytes.Count(line, []byte("\n")) != 1 || strings.Count(data, "[")+strings.Count(data, "{") < 60 && refused(line) {
			t.Fatalf("%q became %q", text, line)
		}
	})
}

func refused(line []byte) bool {
	_, refusal := decodeRequest(line)
	return refusal != nil
}
