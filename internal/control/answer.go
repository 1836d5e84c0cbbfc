package control

import (
	"errors"
	"strconv"

	"github.com/valyala/fastjson"
)

// decodeAnswer reads a line of the init: an event or the reply.
func decodeAnswer(line []byte) (*Event, *Reply, error) {
	d := &decoder{}
	m := d.parse(line)
	version := m.int("v")
	var e *Event
	var r *Reply
	switch {
	case d.err != nil:
	case version != Version:
		d.fail("its version is " + strconv.FormatInt(version, 10) + ", this program knows " + strconv.Itoa(Version))
	case m.get("event") != nil:
		e = &Event{
			Event:      m.text("event"),
			Generation: int(m.int("generation")),
			Pid:        int(m.int("pid")),
			Message:    m.text("message"),
			MS:         m.int("ms"),
			Share:      m.share("share"),
		}
	case m.get("ok") != nil:
		r = &Reply{
			OK:         m.bool("ok"),
			Error:      m.text("error"),
			Code:       m.text("code"),
			Generation: int(m.int("generation")),
			Version:    m.text("version"),
			Delivered:  m.orNull("delivered"),
			Exit:       m.orNull("exit"),
		}
		if v := m.get("status"); v != nil {
			r.Status = d.status(v)
		}
	default:
		d.fail("neither an event nor a reply")
	}
	if d.err != nil {
		return nil, nil, errors.New("cannot read answer: " + d.err.Error())
	}
	return e, r, nil
}

func (d *decoder) status(v *fastjson.Value) *Status {
	m := d.object("status", v)
	s := &Status{V: int(m.int("v")), Pid: int(m.int("pid")), Ready: m.bool("ready")}
	for _, v := range m.list("generations") {
		s.Generations = append(s.Generations, d.generation(v))
	}
	for _, v := range m.list("endpoints") {
		m := d.object("each of endpoints", v)
		s.Endpoints = append(s.Endpoints, Endpoint{m.text("name"), m.text("address"), m.bool("inherited"), m.bool("steered"), m.text("reason")})
	}
	if v := m.get("last_swap"); v != nil {
		m := d.object("last_swap", v)
		s.LastSwap = &LastSwap{int(m.int("generation")), m.bool("ok"), m.text("reason")}
	}
	return s
}

func (d *decoder) generation(v *fastjson.Value) Generation {
	m := d.object("each of generations", v)
	g := Generation{
		Generation: int(m.int("generation")),
		State:      m.text("state"),
		Pid:        int(m.int("pid")),
		UptimeMS:   m.int("uptime_ms"),
		Command:    m.texts("command"),
		Dir:        m.text("dir"),
		Status:     m.text("status"),
		Open:       m.orNull("open"),
		Idle:       m.orNull("idle"),
		Queued:     m.orNull("queued"),
	}
	for _, v := range m.list("pids") {
		pid, err := v.Int64()
		m.want("pids", "a list of integers", err)
		g.Pids = append(g.Pids, int(pid))
	}
	for _, v := range m.list("workers") {
		m := d.object("each of workers", v)
		g.Workers = append(g.Workers, Worker{int(m.int("worker")), int(m.int("pid")), m.bool("ready"), int(m.int("restarts"))})
	}
	if m.get("ready_ms") != nil {
		ms := m.int("ready_ms")
		g.ReadyMS = &ms
	}
	if m.get("share") != nil {
		share := m.share("share")
		g.Share = &share
	}
	return g
}
