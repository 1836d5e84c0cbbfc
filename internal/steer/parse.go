package steer

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// The layout of what is read (linux/netlink.h, linux/inet_diag.h,
// linux/tcp.h). Numbers are the host's byte order unless they are a
// connection's address or port.
//
//	nlmsghdr      0 len  4 type  6 flags  8 seq  12 pid                    (16)
//	inet_diag_msg 0 family  1 state  4 sport  6 dport  8 src  24 dst
//	              44 cookie  56 rqueue  60 wqueue  68 inode                (72)
//	then attributes: 0 len  2 type  4 value, each padded to 4
const (
	headerLen = 16
	diagLen   = 72

	attrInfo   = 2  // INET_DIAG_INFO: tcp_info
	attrSockop = 22 // INET_DIAG_SOCKOPT: inet_diag_sockopt

	infoLastSent = 44 // tcp_info: ages in ms
	infoLastRecv = 52
	infoLastAck  = 56
	infoAcked    = 120
	infoReceived = 128
	infoLen      = 136
)

// States of net/tcp_states.h.
const (
	established = 1
	synRecv     = 3
	closeWait   = 8
	listening   = 10
)

// socket is what inet_diag says of one.
type socket struct {
	bound
	state        uint8
	peerPort     uint16
	cookie       uint64 // one socket's for ever
	unread       uint32
	unsent       uint32
	inode        uint32 // 0: not accepted yet
	tag          uint8
	tagged       bool // false: half-open, or a kernel before 5.10
	informed     bool
	sent, recv   uint32 // ms since the last data
	ack          uint32 // ms since the last acknowledgement came
	acked, taken uint64 // bytes
}

var (
	errShort       = errors.New("inet_diag: the kernel's answer is cut off")
	errInterrupted = errors.New("inet_diag: the sockets changed while they were listed")
)

// parse calls each for every socket in one datagram of the answer seq. done: it was
// the last. The kernel's own refusal is an errno.
func parse(data []byte, seq uint32, each func(*socket)) (done bool, err error) {
	order := binary.NativeEndian
	for len(data) > 0 {
		if len(data) < headerLen {
			return false, errShort
		}
		size := int(order.Uint32(data))
		if size < headerLen || size > len(data) {
			return false, errShort
		}
		body := data[headerLen:size]
		kind, flags := order.Uint16(data[4:]), order.Uint16(data[6:])
		mine := order.Uint32(data[8:]) == seq
		data = data[min((size+3)&^3, len(data)):]
		switch {
		case !mine:
			continue
		case flags&unix.NLM_F_DUMP_INTR != 0:
			return false, errInterrupted
		case kind == unix.NLMSG_DONE, kind == unix.NLMSG_ERROR:
			// Both carry an errno: a dump that fails on its way ends with DONE.
			// DONE without one is from a kernel that had nothing to say.
			if len(body) < 4 {
				if kind == unix.NLMSG_ERROR {
					return false, errShort
				}
				return true, nil
			}
			if code := int32(order.Uint32(body)); code < 0 && code != -code {
				return false, unix.Errno(-code)
			}
			return true, nil
		case kind == unix.SOCK_DIAG_BY_FAMILY:
			if len(body) < diagLen {
				return false, errShort
			}
			var s socket
			if err := s.read(body); err != nil {
				return false, err
			}
			each(&s)
		}
	}
	return false, nil
}

// read fills s from an inet_diag_msg and its attributes; body has at least
// diagLen bytes. Attributes that are unknown, or shorter than known, are left out.
func (s *socket) read(body []byte) error {
	order := binary.NativeEndian
	s.family, s.state = body[0], body[1]
	s.port, s.peerPort = binary.BigEndian.Uint16(body[4:]), binary.BigEndian.Uint16(body[6:])
	copy(s.addr[:], body[8:])
	s.cookie = order.Uint64(body[44:])
	s.unread, s.unsent, s.inode = order.Uint32(body[56:]), order.Uint32(body[60:]), order.Uint32(body[68:])
	for rest := body[diagLen:]; len(rest) >= 4; {
		size, kind := int(order.Uint16(rest)), order.Uint16(rest[2:])
		if size < 4 || size > len(rest) {
			return errShort
		}
		value := rest[4:size]
		switch {
		case kind == attrInfo && len(value) >= infoLen:
			s.informed = true
			s.sent, s.recv = order.Uint32(value[infoLastSent:]), order.Uint32(value[infoLastRecv:])
			s.ack = order.Uint32(value[infoLastAck:])
			s.acked, s.taken = order.Uint64(value[infoAcked:]), order.Uint64(value[infoReceived:])
		case kind == attrSockop && len(value) >= 2:
			s.tagged, s.tag = true, tagIn([2]byte(value))
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	return nil
}
