package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/swapinit/swapinit/internal/busy"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen; never asserted.
const patience = 60 * time.Second

// newServer serves on a path of its own until the test ends. A nil handle says
// ok to everything.
func newServer(t testing.TB, handle func(*Call)) *Server {
	t.Helper()
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	serve(t, s, handle)
	return s
}

func listenAt(t testing.TB, setting string) *Server {
	t.Helper()
	s, err := Listen(setting, os.Getpid(), os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func serve(t testing.TB, s *Server, handle func(*Call)) {
	if handle == nil {
		handle = func(c *Call) { c.Done(&Reply{OK: true}) }
	}
	s.Serve(handle, func(line string) { t.Log(line) })
}

func connectTo(t testing.TB, s *Server) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.Address(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask sends raw text and returns the next line.
func ask(t testing.TB, c net.Conn, r *bufio.Reader, text string) Reply {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return readReply(t, r)
}

func readReply(t testing.TB, r *bufio.Reader) Reply {
	t.Helper()
	line, err := r.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	if !json.Valid(line) {
		t.Fatalf("no JSON: %q", line)
	}
	_, reply, err := decodeAnswer(line)
	if err != nil || reply == nil {
		t.Fatalf("%v in %q", err, line)
	}
	return *reply
}

func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("not reached")
	}
}

func TestSwapOverTheWire(t *testing.T) {
	calls := make(chan *Call, 1)
	for _, setting := range []string{filepath.Join(t.TempDir(), "c.sock"), fmt.Sprintf("@swapinit-test-%d", os.Getpid()), "auto"} {
		s := listenAt(t, setting)
		serve(t, s, func(c *Call) { calls <- c })
		go func() { // the loop
			c := <-calls
			c.Event(Event{Event: "started", Generation: 2, Pid: 7})
			c.Event(Event{Event: "ready", Generation: 2, MS: 1200, Message: "<ready>"})
			c.Event(Event{Event: "canary", Generation: 2, Share: 50})
			c.Done(&Reply{OK: true, Generation: 2})
			c.Done(&Reply{Error: "a second reply"})
			c.Event(Event{Event: "too late"})
			calls <- c
		}()
		var events []Event
		args := SwapArgs{Command: []string{"/bin/a", "b c"}, TimeoutMS: 1500, Canary: "1%/10s"}
		r, err := Do(s.Address(), Request{Verb: VerbSwap, Swap: args}, func(e Event) { events = append(events, e) })
		if err != nil || !r.OK || r.Generation != 2 {
			t.Errorf("%s: reply %+v, error %v", setting, r, err)
		}
		want := []Event{{"started", 2, 7, "", 0, 0}, {"ready", 2, 0, "<ready>", 1200, 0}, {"canary", 2, 0, "", 0, 50}}
		if fmt.Sprint(events) != fmt.Sprint(want) {
			t.Errorf("%s: events %v, want %v", setting, events, want)
		}
		c := receive(t, "the call", calls)
		if fmt.Sprintf("%q", c.Swap.Command) != `["/bin/a" "b c"]` || c.Swap.Timeout() != 1500*time.Millisecond || c.Swap.NoWait || c.Swap.Canary != "1%/10s" {
			t.Errorf("%s: args %+v", setting, c.Swap)
		}
		if c.Peer != (Peer{os.Getpid(), uint32(os.Getuid())}) {
			t.Errorf("%s: peer %+v", setting, c.Peer)
		}
		select {
		case <-c.Gone():
			t.Errorf("%s: Gone although the client has its reply", setting)
		default:
		}
		s.Close()
	}
}

// A message is any JSON value, and none of its text changes on the way but white
// space between its parts.
func TestMessageOverTheWire(t *testing.T) {
	var got Request
	three := 3
	s := newServer(t, func(c *Call) { got = c.Request; c.Done(&Reply{OK: true, Delivered: &three}) })
	for _, data := range []string{
		"null", "true", "false", "0", "-0.50e+03", "12345678901234567890123", `""`, `"a\u0041\/\"\\ \ud83d\ude00 ä\n"`, "[]", "{}",
		`{"b":1,"a":[null,"\u00e4",{"\u0063":-0,"c":2}],"b":""}`, `{"data":{"swapinit":"ready"}}`, `"` + strings.Repeat("x", 60000) + `"`,
	} {
		r, err := Do(s.Address(), Request{Verb: VerbMessage, Data: data}, nil)
		if err != nil || !r.OK || r.Delivered == nil || *r.Delivered != 3 || r.Exit != nil {
			t.Errorf("%.60s: reply %+v, error %v", data, r, err)
		}
		if want := (Request{Verb: VerbMessage, Data: data}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %.60s", got, data)
		}
	}
	if _, err := Do(s.Address(), Request{Verb: VerbMessage, Data: "{ \"a\" :\r\n\t[ 1 ,\n2 ] }"}, nil); err != nil || got.Data != `{"a":[1,2]}` {
		t.Errorf("%q, %v", got.Data, err)
	}
	r, err := Do(s.Address(), Request{Verb: VerbMessage}, nil)
	if err != nil || r.OK || r.Code != CodeRequest {
		t.Errorf("nothing to send: %+v, %v", r, err)
	}
}

// The reply to a swap that is followed comes when its generation has ended.
func TestFollowOverTheWire(t *testing.T) {
	none, three := 0, 3
	for _, reply := range []Reply{{OK: true, Generation: 2, Exit: &none}, {Error: "it exited 3", Generation: 2, Exit: &three}, {Error: "it failed"}} {
		s := newServer(t, func(c *Call) {
			if !c.Swap.Follow || c.Swap.Strategy != "replace" {
				t.Errorf("args %+v", c.Swap)
			}
			c.Event(Event{Event: "done", Generation: 2})
			own := reply
			c.Done(&own)
		})
		var events []string
		r, err := Do(s.Address(), Request{Verb: VerbSwap, Swap: SwapArgs{Follow: true, Strategy: "replace"}}, func(e Event) { events = append(events, e.Event) })
		if err != nil || string(encode(r)) != string(encode(&reply)) || fmt.Sprint(events) != "[done]" {
			t.Errorf("%+v, %v, %v", r, err, events)
		}
	}
}

// Who waits for a swap or a restart waits as long as that takes.
func TestRestartHasNoDeadline(t *testing.T) {
	for _, c := range []struct {
		r    Request
		want bool
	}{
		{Request{Verb: VerbSwap}, true}, {Request{Verb: VerbSwap, Swap: SwapArgs{Follow: true}}, true}, {Request{Verb: VerbRestart}, true},
		{Request{Verb: VerbSwap, Swap: SwapArgs{NoWait: true}}, false}, {Request{Verb: VerbRestart, Swap: SwapArgs{NoWait: true}}, false},
		{Request{Verb: VerbMessage}, false}, {Request{Verb: VerbStatus}, false},
	} {
		if got := waits(c.r); got != c.want {
			t.Errorf("%+v: %v", c.r, got)
		}
	}
}

// The wire and `status --json` are promised to programs, byte by byte.
func TestWireFormat(t *testing.T) {
	ms := int64(1200)
	share, none, three := 50, 0, 3
	swapped := LastSwap{2, false, "no", "rolled back", "O", 5, "B", "E", 7, []SwapStage{{"started", 1, 20, 0}, {"canary", 21, 9, 2550}}}
	const told = `{"generation":2,"ok":false,"reason":"no","outcome":"rolled back","outcome_at":"O","ago_ms":5,"began":"B","ended":"E","pid":7,` +
		`"stages":[{"stage":"started","at_ms":1,"ms":20},{"stage":"canary","at_ms":21,"ms":9,"share":25.5}]}`
	for _, c := range []struct{ got, want string }{
		{string(encode(&Event{Event: "started", Generation: 2, Pid: 7, Message: "m", MS: 12})),
			`{"v":1,"event":"started","generation":2,"pid":7,"message":"m","ms":12}`},
		{string(encode(&Event{Event: "canary", Generation: 2, Message: "m", Share: 2501})), `{"v":1,"event":"canary","generation":2,"message":"m","share":25.01}`},
		{string(encode(&Reply{OK: true, Generation: 2})), `{"v":1,"ok":true,"generation":2}`},
		{string(encode(&Reply{Error: "a <b> & \u2028"})), `{"v":1,"ok":false,"error":"a <b> & \u2028"}`},
		{string(encode(&Reply{OK: true, Status: &Status{Pid: 1}})),
			`{"v":1,"ok":true,"status":{"v":1,"pid":1,"ready":false,"generations":[],"endpoints":[],"sides":[],"swap":null,"last_swap":null}}`},
		{(&Status{Pid: 1, Ready: true,
			Generations: []Generation{{2, "active", 7, []int{7}, 5000, &ms, []string{"/a"}, "/d", "s", &share, &three, &none, &none, []Worker{{0, 7, true, 0}, {1, 0, false, 4}}, 9, &ms, true, []busy.Conn{{Peer: "10.0.0.7:4711", AgeMS: 41200, Why: "a request without an answer", Endpoint: "8080"}}, 3}},
			Endpoints:   []Endpoint{{"8080", "tcp://[::]:8080", false, true, true, "", "127.0.0.2:8080"}, {"dns", "udp://[::]:53", true, false, false, "it is udp", ""}}, Sides: []Side{{"cron", 9, 5, 2, []string{"cron", "-f"}, ""}}, Swap: &RunningSwap{Generation: 3, Stage: "canary", SinceMS: 5, LeftMS: &ms, Share: 2550}, LastSwap: &swapped}).JSON() + "\n",
			`{"v":1,"pid":1,"ready":true,"generations":[{"generation":2,"state":"active","pid":7,"pids":[7],"uptime_ms":5000,"ready_ms":1200,"command":["/a"],"dir":"/d","status":"s","share":0.5,"open":3,"idle":0,"queued":0,"workers":[{"worker":0,"pid":7,"ready":true,"restarts":0},{"worker":1,"pid":0,"ready":false,"restarts":4}],"since_ms":9,"left_ms":1200,"kept":true,"busy":[{"peer":"10.0.0.7:4711","age_ms":41200,"why":"a request without an answer","endpoint":"8080"}],"busy_more":3}],"endpoints":[{"name":"8080","address":"tcp://[::]:8080","inherited":false,"adopted":true,"steered":true,"reason":"","check_address":"127.0.0.2:8080"},{"name":"dns","address":"udp://[::]:53","inherited":true,"adopted":false,"steered":false,"reason":"it is udp","check_address":""}],"sides":[{"name":"cron","pid":9,"uptime_ms":5,"restarts":2,"command":["cron","-f"],"reason":""}],"swap":{"generation":3,"stage":"canary","since_ms":5,"left_ms":1200,"share":25.5},"last_swap":` + told + `}`},
		{string(encode(&Reply{OK: true, Generation: 2, Swap: &swapped})), `{"v":1,"ok":true,"generation":2,"swap":` + told + `}`},
		{swapped.JSON() + "\n", `{"v":1,` + told[1:]},
		{(&Status{Generations: []Generation{{}}}).JSON() + "\n",
			`{"v":1,"pid":0,"ready":false,"generations":[{"generation":0,"state":"","pid":0,"pids":[],"uptime_ms":0,"ready_ms":null,"command":[],"dir":"","status":"","share":null,"open":null,"idle":null,"queued":null,"workers":[],"since_ms":0,"left_ms":null,"kept":false,"busy":[],"busy_more":0}],"endpoints":[],"sides":[],"swap":null,"last_swap":null}`},
		{(&Status{Version: "1.2", Totals: &Totals{1, 2, 3, 4, 5}}).JSON() + "\n",
			`{"v":1,"pid":0,"ready":false,"generations":[],"endpoints":[],"sides":[],"swap":null,"last_swap":null,"version":"1.2","totals":{"swaps_ok":1,"swaps_failed":2,"swaps_undone":3,"restarts":4,"orphans":5}}`},
		{string(encode(&Request{Verb: "status"})), `{"v":1,"verb":"status"}`},
		{string(encode(&Request{Verb: "swap"})), `{"v":1,"verb":"swap","args":{}}`},
		{string(encode(&Request{"swap", SwapArgs{[]string{"a", ""}, 5, true, "1%/10s", "client", "overlap", true, false, false, ""}, "", WaitArgs{}})),
			`{"v":1,"verb":"swap","args":{"command":["a",""],"timeout_ms":5,"no_wait":true,"canary":"1%/10s","canary_by":"client","strategy":"overlap","follow":true}}`},
		{string(encode(&Request{Verb: "swap", Swap: SwapArgs{Cancel: true}})), `{"v":1,"verb":"swap","args":{"cancel":true}}`},
		{string(encode(&Request{Verb: "restart"})), `{"v":1,"verb":"restart","args":{}}`},
		{string(encode(&Request{Verb: "restart", Swap: SwapArgs{Force: true, NoWait: true, TimeoutMS: 7}})), `{"v":1,"verb":"restart","args":{"timeout_ms":7,"no_wait":true,"force":true}}`},
		{string(encode(&Request{Verb: "restart", Swap: SwapArgs{Side: "cron"}})), `{"v":1,"verb":"restart","args":{"side":"cron"}}`},
		{string(encode(&Request{Verb: "message", Data: "{\n \"a\" :\n[1.50,null]}"})), `{"v":1,"verb":"message","args":{"data":{  "a" : [1.50,null]}}}`},
		{string(encode(&Request{Verb: "status", Data: "1"})), `{"v":1,"verb":"status"}`},
		{string(encode(&Event{Event: "done", Generation: 2})), `{"v":1,"event":"done","generation":2}`},
		{string(encode(&Reply{OK: true, Delivered: &none})), `{"v":1,"ok":true,"delivered":0}`},
		{string(encode(&Reply{OK: true, Delivered: &three})), `{"v":1,"ok":true,"delivered":3}`},
		{string(encode(&Reply{OK: true, Generation: 2, Exit: &none})), `{"v":1,"ok":true,"generation":2,"exit":0}`},
		{string(encode(&Reply{Error: "e", Generation: 2, Exit: &three})), `{"v":1,"ok":false,"error":"e","generation":2,"exit":3}`},
		{string(encode(&Request{Verb: "rollback", Swap: SwapArgs{NoWait: true, Canary: "x"}})), `{"v":1,"verb":"rollback"}`},
		{string(encode(&Request{Verb: "promote"})), `{"v":1,"verb":"promote"}`},
		{string(encode(&Reply{Error: "\"\\\n\t\x1b\u009b\u202e\xff\ufffd\U000e0001\U0001f600"})), `{"v":1,"ok":false,"error":"\"\\\n\u0009\u001b\u009b\u202e��\udb40\udc01😀"}`},
	} {
		if c.got != c.want+"\n" {
			t.Errorf("got  %swant %s", c.got, c.want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	var handled []string
	var mu sync.Mutex
	s := newServer(t, func(c *Call) {
		mu.Lock()
		handled = append(handled, c.Verb)
		mu.Unlock()
		c.Done(&Reply{OK: true})
	})
	c := connectTo(t, s)
	r := bufio.NewReader(c)
	for text, want := range map[string][2]string{
		"":                                     {CodeRequest, "JSON"},
		"rubbish":                              {CodeRequest, "JSON"},
		"{}":                                   {CodeRequest, "v is 0"},
		"null":                                 {CodeRequest, "JSON"},
		`[1]`:                                  {CodeRequest, "JSON"},
		`{"v":2,"verb":"status"}`:              {CodeRequest, "v is 2, accepted: 1"},
		`{"v":"1","verb":"status"}`:            {CodeRequest, "v must be an integer"},
		`{"v":1}`:                              {CodeVerb, `unknown verb ""`},
		`{"v":1,"verb":"reboot"}`:              {CodeVerb, `unknown verb "reboot", accepted: swap, status`},
		`{"v":1,"verb":"chek"}`:                {CodeVerb, "rollback, promote, version, restart, message, wait, check"},
		`{"v":1,"verb":"wait"}`:                {CodeRequest, "name is missing"},
		`{"v":1,"verb":"status"}{}`:            {CodeRequest, "JSON"},
		"{\"v\":1,\"verb\":\"st\xff":           {CodeRequest, "UTF-8"},
		`{"v":1,"verb":"swap","args`:           {CodeRequest, "JSON"},
		`{"v":1,"verb":"stop","args":{"x":1}}`: {CodeRequest, `unknown name "x", accepted: none`},
		`{"v":1,"verb":"stop","args":{"no_wait":true}}`:                                         {CodeRequest, `unknown name "no_wait"`},
		`{"v":1,"verb":"stop","args":7}`:                                                        {CodeRequest, "args of stop"},
		`{"v":1,"verb":"swap","args":{"force":true}}`:                                           {CodeRequest, `unknown name "force", accepted: command, timeout_ms, no_wait, canary, canary_by, strategy, follow`},
		`{"v":1,"verb":"swap","args":{"strategy":["replace"]}}`:                                 {CodeRequest, "strategy must be a string"},
		`{"v":1,"verb":"swap","args":{"follow":1}}`:                                             {CodeRequest, "follow must be true or false"},
		`{"v":1,"verb":"swap","args":{"follow":true,"no_wait":true}}`:                           {CodeRequest, "a swap that nobody waits for cannot be followed"},
		`{"v":1,"verb":"swap","args":{"data":1}}`:                                               {CodeRequest, `unknown name "data"`},
		`{"v":1,"verb":"restart","args":{"command":["a"]}}`:                                     {CodeRequest, `args of restart: unknown name "command", accepted: timeout_ms, no_wait, force`},
		`{"v":1,"verb":"restart","args":{"follow":true}}`:                                       {CodeRequest, `unknown name "follow"`},
		`{"v":1,"verb":"restart","args":{"side":"cron","force":true}}`:                          {CodeRequest, "args of restart: a process beside the server is started again by itself"},
		`{"v":1,"verb":"restart","args":{"side":"cron","timeout_ms":5}}`:                        {CodeRequest, "is started again by itself"},
		`{"v":1,"verb":"swap","args":{"side":"cron"}}`:                                          {CodeRequest, `unknown name "side"`},
		`{"v":1,"verb":"restart","args":{"force":"yes"}}`:                                       {CodeRequest, "force must be true or false"},
		`{"v":1,"verb":"restart","args":{"timeout_ms":-1}}`:                                     {CodeRequest, "timeout_ms is -1"},
		`{"v":1,"verb":"message"}`:                                                              {CodeRequest, "args of message: data is missing"},
		`{"v":1,"verb":"message","args":{}}`:                                                    {CodeRequest, "data is missing"},
		`{"v":1,"verb":"message","args":null}`:                                                  {CodeRequest, "data is missing"},
		`{"v":1,"verb":"message","args":["a"]}`:                                                 {CodeRequest, "args of message: what is given must be an object"},
		`{"v":1,"verb":"message","args":{"data":1,"no_wait":true}}`:                             {CodeRequest, `unknown name "no_wait", accepted: data`},
		`{"v":1,"verb":"message","args":{"data":1,"data":2}}`:                                   {CodeRequest, `"data" is there twice`},
		`{"v":1,"verb":"message","args":{"data":"\ud800"}}`:                                     {CodeRequest, "surrogate"},
		`{"v":1,"verb":"stop","args":{"none":true}}`:                                            {CodeRequest, `unknown name "none", accepted: none`},
		"{\"v\":1,\"verb\":\"message\",\"args\":{\"data\":\"a\tb\\n\"}}":                        {CodeRequest, "JSON"},
		`{"v":1,"verb":"swap","args":{"command":"a b"}}`:                                        {CodeRequest, "args of swap"},
		`{"v":1,"verb":"swap","args":{"command":["a",null]}}`:                                   {CodeRequest, "command must be a list of strings"},
		`{"v":1,"verb":"swap","args":{"command":["a",1]}}`:                                      {CodeRequest, "command must be a list of strings"},
		`{"v":1,"verb":"swap","args":{"no_wait":1}}`:                                            {CodeRequest, "no_wait must be true or false"},
		`{"v":1,"verb":"swap","args":{"canary":["1%/10s"]}}`:                                    {CodeRequest, "canary must be a string"},
		`{"v":1,"verb":"rollback","args":{"canary":"1%/10s"}}`:                                  {CodeRequest, `args of rollback: unknown name "canary"`},
		`{"v":1,"verb":"promote","args":[]}`:                                                    {CodeRequest, "args of promote"},
		`{"v":1,"verb":"swap","args":{"x":null}}`:                                               {CodeRequest, `unknown name "x", accepted: command, timeout_ms, no_wait, canary, canary_by, strategy, follow`},
		`{"v":1,"verb":"swap","args":{"no_wait":true,"no_\u0077ait":true}}`:                     {CodeRequest, `"no_wait" is there twice`},
		`{"v":1,"verb":"status","verb":"stop"}`:                                                 {CodeRequest, `"verb" is there twice`},
		`{"v":1,"verb":"status","x":1,"x":2}`:                                                   {CodeRequest, `"x" is there twice`},
		`{"V":1,"verb":"status"}`:                                                               {CodeRequest, "v is 0"},
		`{"v":1.0,"verb":"status"}`:                                                             {CodeRequest, "v must be an integer"},
		`{"v":1,"verb":["status"]}`:                                                             {CodeRequest, "verb must be a string"},
		`{"v":1,"verb":"status","x":01}`:                                                        {CodeRequest, "JSON"},
		`{"v":1,"verb":"status","x":nan}`:                                                       {CodeRequest, "JSON"},
		`{"v":1,"verb":"status","x":"\q"}`:                                                      {CodeRequest, "JSON"},
		"{\"v\":1,\"verb\":\"status\",\"x\":\"\t\"}":                                            {CodeRequest, "JSON"},
		`{"v":1,"verb":"swap","args":{"command":["\ud800"]}}`:                                   {CodeRequest, "surrogate"},
		`{"v":1,"verb":"swap","args":{"command":["\udc00\ud800"]}}`:                             {CodeRequest, "surrogate"},
		`{"v":1,"verb":"status","x":` + strings.Repeat("[", 66) + strings.Repeat("]", 66) + "}": {CodeRequest, "deeper than 66"},
		`{"v":1,"verb":"swap","args":{"` + strings.Repeat("\x7f", 60000) + `":1}}`:              {CodeRequest, "…"},
		`{"v":1,"verb":"swap","args":{"command":[""]}}`:                                         {CodeRequest, "empty"},
		`{"v":1,"verb":"swap","args":{"command":["a","b\u0000c"]}}`:                             {CodeRequest, "word 2 of the command has a NUL"},
		`{"v":1,"verb":"swap","args":{"timeout_ms":-1}}`:                                        {CodeRequest, "timeout_ms is -1"},
		`{"v":1,"verb":"swap","args":{"timeout_ms":9223372036855}}`:                             {CodeRequest, "timeout_ms"},
		`{"v":1,"verb":"swap","args":{"timeout_ms":1.5}}`:                                       {CodeRequest, "args of swap"},
		strings.Repeat("[", MaxLine):                                                            {CodeRequest, "deeper"},
		`{"v":1,"verb":"` + strings.Repeat("x", 60000) + `"}`:                                   {CodeVerb, "…"},
	} {
		got := ask(t, c, r, text+"\n")
		if got.OK || got.Code != want[0] || !strings.Contains(got.Error, want[1]) || len(got.Error) > 300 {
			t.Errorf("%.60s: got %+v, want %v", text, got, want)
		}
	}
	mu.Lock()
	if len(handled) != 0 {
		t.Errorf("handled %q", handled)
	}
	mu.Unlock()
	// The connection has survived all that, and what is right still works.
	for _, text := range []string{`{"v":1,"verb":"status"}`, ` {"verb":"stop" , "v":1, "args":null, "new":[] }` + "\r", `{"v":1,"verb":"swap","args":{}}`,
		`{"v":1,"verb":"swap","args":{"command":null,"timeout_ms":null,"no_wait":null,"canary":null,"strategy":null,"follow":null}}`,
		`{"v":1,"verb":"swap","args":{"strategy":"overlap","canary":"1%/10s","follow":true}}`,
		`{"v":1,"verb":"restart"}`, `{"v":1,"verb":"restart","args":{"force":true,"no_wait":true,"timeout_ms":5}}`, `{"v":1,"verb":"restart","args":{"side":"cron"}}`,
		`{"v":1,"verb":"message","args":{"data":null}}`,
		`{"v":1,"verb":"message","args":{"data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}}`,
		`{"v":1,"verb":"rollback"}`, `{"v":1,"verb":"promote","args":{}}`,
		`{"\u0076":1,"verb":"st\u0061tus","x":["[[[[[[[[[[[[[[[[[[\"",-0.5e+3,"\ud83d\ude00 \\ud800"]}`} {
		if got := ask(t, c, r, text+"\n"); !got.OK {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestLineLimit(t *testing.T) {
	s := newServer(t, nil)
	request := `{"v":1,"verb":"status"}`
	c := connectTo(t, s)
	r := bufio.NewReader(c)
	if got := ask(t, c, r, request+strings.Repeat(" ", MaxLine-len(request))+"\n"); !got.OK {
		t.Errorf("a line of exactly the limit: %+v", got)
	}
	if got := ask(t, c, r, request+strings.Repeat(" ", MaxLine-len(request)+1)+"\n"); got.OK || got.Code != CodeRequest || !strings.Contains(got.Error, "65536") {
		t.Errorf("one byte more: %+v", got)
	}
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("not closed after a line that is too long: %q", b)
	}
	// A flood without any newline, of more than the socket's buffers hold.
	c = connectTo(t, s)
	go c.Write(make([]byte, 8<<20))
	if got := readReply(t, bufio.NewReader(c)); got.OK || !strings.Contains(got.Error, "65536") {
		t.Errorf("flood: %+v", got)
	}
	// The client does not even try.
	args := SwapArgs{Command: []string{strings.Repeat("x", MaxLine)}}
	if _, err := Do(s.Address(), Request{Verb: VerbSwap, Swap: args}, nil); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Errorf("client: %v", err)
	}
}

// Half a line is no request, whatever it says.
func TestHalfLine(t *testing.T) {
	handled := make(chan *Call, 8)
	s := newServer(t, func(c *Call) { handled <- c; c.Done(&Reply{OK: true}) })
	c := connectTo(t, s)
	fmt.Fprint(c, `{"v":1,"verb":"stop"}`)
	c.CloseWrite()
	if b, err := bufio.NewReader(c).ReadByte(); err == nil {
		t.Errorf("answered with %q", b)
	}
	if len(handled) != 0 {
		t.Error("it was handled")
	}
	// In pieces, and with the next one behind it, lines are lines.
	c = connectTo(t, s)
	r := bufio.NewReader(c)
	for _, b := range []byte("{\"v\":1,\"verb\":\"health\"}") {
		c.Write([]byte{b})
	}
	fmt.Fprint(c, "\n"+strings.Repeat("{\"v\":1,\"verb\":\"status\"}\n", 3))
	for i := range 4 {
		if got := readReply(t, r); !got.OK {
			t.Errorf("reply %d: %+v", i, got)
		}
	}
}

// A client may say that it has nothing more to say and still wants its answer.
func TestHalfClose(t *testing.T) {
	calls := make(chan *Call, 1)
	s := newServer(t, func(c *Call) { calls <- c })
	c := connectTo(t, s)
	fmt.Fprintln(c, `{"v":1,"verb":"swap"}`)
	c.CloseWrite()
	call := receive(t, "the call", calls)
	call.Event(Event{Event: "started"})
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "started") {
		t.Errorf("%q %v", line, err)
	}
	select {
	case <-call.Gone():
		t.Error("a half-closed client counts as gone")
	default:
	}
	call.Done(&Reply{OK: true})
	if got := readReply(t, r); !got.OK {
		t.Errorf("%+v", got)
	}
}

func TestGone(t *testing.T) {
	calls := make(chan *Call, 1)
	s := newServer(t, func(c *Call) { calls <- c })
	for _, more := range []string{"", "{\"v\":1,\"verb\":\"status\"}\n"} {
		c := connectTo(t, s)
		fmt.Fprint(c, "{\"v\":1,\"verb\":\"swap\"}\n"+more)
		call := receive(t, "the call", calls)
		c.Close()
		receive(t, "Gone", call.Gone())
		call.Event(Event{Event: "ready"})
		call.Done(&Reply{OK: true})
		until(t, "its place is free", func() bool { return s.count() == 0 })
	}
}

func (s *Server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// A client that does not read makes nobody wait, loses events, and still gets
// the reply when it reads at last.
func TestSlowReader(t *testing.T) {
	calls := make(chan *Call, 1)
	s := newServer(t, func(c *Call) { calls <- c })
	c := connectTo(t, s)
	fmt.Fprintln(c, `{"v":1,"verb":"swap"}`)
	call := receive(t, "the call", calls)
	const n = 20000
	for i := range n {
		call.Event(Event{Event: "started", Generation: i, Message: strings.Repeat("x", 1000)})
	}
	call.Done(&Reply{OK: true, Generation: 9})
	// Meanwhile others are served.
	go func() { receive(t, "the other call", calls).Done(&Reply{OK: true}) }()
	if r, err := Do(s.Address(), Request{Verb: VerbHealth}, nil); err != nil || !r.OK {
		t.Errorf("another client: %+v, %v", r, err)
	}
	events := 0
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("no reply after %d events: %v", events, err)
		}
		e, reply, err := decodeAnswer(line)
		if err != nil {
			t.Fatal(err)
		}
		if reply != nil {
			if !reply.OK || reply.Generation != 9 {
				t.Errorf("reply %+v", reply)
			}
			break
		}
		if e.Event != "started" {
			t.Errorf("event %+v", e)
		}
		events++
	}
	if events == 0 || events == n {
		t.Errorf("%d of %d events came", events, n)
	}
}

// A client that never reads its reply loses its place in the end.
func TestReplyNobodyReads(t *testing.T) {
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	s.limits.reply = time.Millisecond
	called := make(chan bool, 1)
	serve(t, s, func(c *Call) { c.Done(&Reply{OK: true, Version: strings.Repeat("x", 4<<20)}); called <- true })
	c := connectTo(t, s)
	fmt.Fprintln(c, `{"v":1,"verb":"version"}`)
	receive(t, "the call", called)
	until(t, "the server gives up", func() bool { return s.count() == 0 })
}

func TestSilentClients(t *testing.T) {
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	s.limits.first, s.limits.next = time.Millisecond, time.Millisecond
	serve(t, s, nil)
	c := connectTo(t, s)
	if b, err := bufio.NewReader(c).ReadByte(); err == nil {
		t.Errorf("a silent client got %q", b)
	}
	s.Close()

	// Rubbish wins no time: it has the deadline of the first request.
	s = listenAt(t, filepath.Join(t.TempDir(), "s2"))
	s.limits.first = 200 * time.Millisecond
	serve(t, s, nil)
	c = connectTo(t, s)
	r := bufio.NewReader(c)
	for {
		if _, err := fmt.Fprintln(c, "rubbish"); err != nil {
			break
		}
		if _, err := r.ReadString('\n'); err != nil {
			break
		}
	}
	until(t, "its place is free", func() bool { return s.count() == 0 })
}

func TestTooManyClients(t *testing.T) {
	s := newServer(t, nil)
	var conns []*net.UnixConn
	for range MaxClients {
		conns = append(conns, connectTo(t, s))
	}
	until(t, "all are in", func() bool { return s.count() == MaxClients })
	for range 3 {
		r, err := Do(s.Address(), Request{Verb: VerbStatus}, nil)
		if err != nil || r.OK || r.Code != CodeBusy || !strings.Contains(r.Error, "64") {
			t.Errorf("one too many: %+v, %v", r, err)
		}
	}
	for i, c := range conns { // those that are in are served
		if got := ask(t, c, bufio.NewReader(c), "{\"v\":1,\"verb\":\"status\"}\n"); !got.OK {
			t.Errorf("client %d: %+v", i, got)
		}
	}
	conns[0].Close()
	until(t, "one has left", func() bool { return s.count() < MaxClients })
	if r, err := Do(s.Address(), Request{Verb: VerbStatus}, nil); err != nil || !r.OK {
		t.Errorf("after one left: %+v, %v", r, err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	s := newServer(t, func(c *Call) {
		go func() { // as a loop would, later and from elsewhere
			c.Event(Event{Event: "queued"})
			c.Done(&Reply{OK: true, Generation: len(c.Swap.Command)})
		}()
	})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			args := SwapArgs{Command: strings.Split(strings.Repeat("x", i+1), "")}
			for range 20 {
				r, err := Do(s.Address(), Request{Verb: VerbSwap, Swap: args}, nil)
				if err != nil || r.Generation != i+1 {
					t.Errorf("client %d: %+v, %v", i, r, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClose(t *testing.T) {
	calls := make(chan *Call, 3)
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	s.limits.close = patience
	serve(t, s, func(c *Call) { calls <- c })
	idle := connectTo(t, s)
	errs := make(chan error, 2)
	go func() {
		_, err := Do(s.Address(), Request{Verb: VerbSwap}, nil)
		errs <- err
	}()
	unanswered := receive(t, "the call", calls)
	answered := connectTo(t, s)
	fmt.Fprintln(answered, `{"v":1,"verb":"stop"}`)
	receive(t, "the call", calls).Done(&Reply{OK: true})
	s.Close()
	s.Close()
	receive(t, "Gone", unanswered.Gone())
	if err := receive(t, "the error", errs); !errors.Is(err, ErrGone) {
		t.Errorf("error %v", err)
	}
	if got := readReply(t, bufio.NewReader(answered)); !got.OK {
		t.Errorf("the reply got lost: %+v", got)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection is open")
	}
	if _, err := os.Lstat(s.Address()); !os.IsNotExist(err) {
		t.Errorf("the path is still there: %v", err)
	}
	var none *NoInit
	if _, err := Do(s.Address(), Request{Verb: VerbHealth}, nil); !errors.As(err, &none) {
		t.Errorf("error %v", err)
	}
}

// Close does not wait for a client that does not read.
func TestCloseUnread(t *testing.T) {
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	s.limits.close, s.limits.reply = time.Millisecond, 100*patience
	writing := make(chan bool)
	serve(t, s, func(c *Call) { c.Done(&Reply{OK: true, Version: strings.Repeat("x", 4<<20)}); close(writing) })
	c := connectTo(t, s)
	fmt.Fprintln(c, `{"v":1,"verb":"version"}`)
	receive(t, "the call", writing)
	s.Close()
}

// A reply that was given before Close goes out, whichever of the two is noticed first.
func TestReplyThenClose(t *testing.T) {
	for range 64 { // select picks one of two at random
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := &conn{s: &Server{quit: make(chan struct{})}, file: w}
		a := &answer{file: w, limit: patience, reply: make(chan *Reply, 1)}
		(&Call{a: a}).Done(&Reply{OK: true})
		close(c.s.quit)
		if !c.answer(a, nil) {
			t.Fatal("the reply got lost")
		}
		if got := readReply(t, bufio.NewReader(r)); !got.OK {
			t.Fatalf("%+v", got)
		}
		r.Close()
		w.Close()
	}
}

// Nothing that the loop calls waits, not even in the client's own goroutine.
func TestNothingBlocks(t *testing.T) {
	s := newServer(t, func(c *Call) {
		for range 10 * eventBuffer {
			c.Event(Event{Event: "queued"})
		}
		c.Done(&Reply{OK: true, Generation: 1})
		c.Done(&Reply{OK: true, Generation: 2})
		c.Event(Event{Event: "after the end"})
	})
	for range 3 {
		events := 0
		r, err := Do(s.Address(), Request{Verb: VerbHealth}, func(e Event) {
			if e.Event != "queued" {
				t.Errorf("event %+v", e)
			}
			events++
		})
		if err != nil || r.Generation != 1 || events != eventBuffer {
			t.Errorf("%+v, %v, %d events", r, err, events)
		}
	}
}

// The deadline of the first request ends with the request: a hangup is noticed
// however long the swap takes.
func TestGoneLater(t *testing.T) {
	const first = 300 * time.Millisecond
	calls := make(chan *Call, 1)
	s := listenAt(t, filepath.Join(t.TempDir(), "s"))
	s.limits.first = first
	serve(t, s, func(c *Call) { calls <- c })
	for end := time.Now().Add(patience); ; {
		c := connectTo(t, s)
		fmt.Fprintln(c, `{"v":1,"verb":"swap"}`)
		select {
		case call := <-calls:
			<-time.After(2 * first) // the deadline has passed by then
			c.Close()
			receive(t, "Gone", call.Gone())
			return
		case <-time.After(2 * first): // on a busy machine the request came too late
			c.Close()
		}
		if time.Now().After(end) {
			t.Fatal("no request came in time")
		}
	}
}

// Fds and goroutines are the same after hundreds of clients of all kinds.
func TestNoLeaks(t *testing.T) {
	s := newServer(t, nil)
	round := func() {
		c := connectTo(t, s)
		fmt.Fprint(c, "rubbish\nhalf")
		c.Close()
		c = connectTo(t, s)
		fmt.Fprintln(c, `{"v":1,"verb":"swap"}`)
		c.Close()
		connectTo(t, s).Close()
		if _, err := Do(s.Address(), Request{Verb: VerbStatus}, nil); err != nil {
			t.Fatal(err)
		}
		until(t, "all have left", func() bool { return s.count() == 0 })
	}
	round()
	var fds, goroutines int
	settle := func() {
		fds, goroutines = openFDs(t), runtime.NumGoroutine()
	}
	settle()
	f0, g0 := fds, goroutines
	for range 200 {
		round()
	}
	until(t, "fds and goroutines are back", func() bool { settle(); return fds <= f0 && goroutines <= g0 })
	s.Close()
	until(t, "the server's own are gone", func() bool { settle(); return fds < f0 && goroutines < g0 })
}

func openFDs(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestCloseOnExec(t *testing.T) {
	calls := make(chan *Call, 1)
	s := newServer(t, func(c *Call) { calls <- c })
	c := connectTo(t, s)
	fmt.Fprintln(c, `{"v":1,"verb":"status"}`)
	call := receive(t, "the call", calls)
	for _, f := range []*os.File{s.file, call.a.file} {
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: flags %x, error %v", f.Name(), flags, err)
			}
		})
	}
}
