package steer

import (
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
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
	finWait1    = 4
	finWait2    = 5
	timeWait    = 6
	closeWait   = 8
	lastAck     = 9
	listening   = 10
	closing     = 11
)

// socket is what inet_diag says of one.
type socket struct {
	at           netip.AddrPort
	state        uint8
	peer         netip.AddrPort
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
	errShort       = errors.New("the kernel's answer is cut off")
	errInterrupted = errors.New("the sockets changed while they were listed")
)

const (
	// The kernel puts at most 32 KiB into one datagram of a dump.
	diagBuffer = 32 << 10

	// diagWait bounds the wait for one datagram. The kernel answers within
	// the calls themselves, so it is never reached but on a kernel that errs.
	diagWait = 2 // s

	// diagMost bounds one answer, in datagrams: some millions of connections.
	diagMost = 1 << 16
)

// question is what to ask of inet_diag: which sockets of a local port
// (states: bits), or, with a peer's port, for the one connection on loopback.
type question struct {
	at     netip.AddrPort
	states uint32
	info   bool   // with tcp_info
	peer   uint16 // not 0: this connection only
}

// ask calls each for the sockets. It has its own netlink socket for each
// answer: that costs microseconds beside the milliseconds of a dump, and
// nothing is kept that would have to be closed. Any uid may ask; the answer
// is about the own network namespace.
func (q *question) ask(each func(*socket)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err == nil {
		err = q.over(fd, each)
		_ = syscall.Close(fd)
	}
	if err != nil {
		return text.Errorf("inet_diag: %w", err)
	}
	return nil
}

func (q *question) over(fd int, each func(*socket)) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagWait}); err != nil {
		return err
	}
	const seq = 1 // the socket is asked once
	request := q.encode(seq)
	if err := unix.Sendto(fd, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, diagBuffer)
	for range diagMost {
		// MSG_TRUNC: the true length, even where it did not fit.
		n, from, err := syscall.Recvfrom(fd, buffer, unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if sender, ok := from.(*syscall.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // not the kernel
		}
		if n > len(buffer) {
			return errShort
		}
		done, err := parse(buffer[:n], seq, each)
		if err != nil || done || q.peer != 0 {
			return err
		}
	}
	return errShort
}

// encode is nlmsghdr and inet_diag_req_v2: 0 family  1 protocol  2 attributes
// 4 states  8 inet_diag_sockid (sport, dport, src, dst, interface, cookie).
func (q *question) encode(seq uint32) (request [headerLen + 56]byte) {
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	flags := uint16(unix.NLM_F_REQUEST)
	body := request[headerLen:]
	if q.peer == 0 {
		flags |= unix.NLM_F_DUMP
	} else {
		binary.BigEndian.PutUint16(body[10:], q.peer)
		copy(body[12:], q.at.Addr().AsSlice())
		copy(body[28:], q.at.Addr().AsSlice())
	}
	order.PutUint16(request[6:], flags)
	order.PutUint32(request[8:], seq)
	body[0], body[1] = uint8(procnet.Family(q.at.Addr())), unix.IPPROTO_TCP
	if q.info {
		body[2] = 1 << (attrInfo - 1)
	}
	order.PutUint32(body[4:], q.states)
	binary.BigEndian.PutUint16(body[8:], q.at.Port())
	for i := 48; i < 56; i++ {
		body[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	return request
}

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
	addr := func(at int) netip.Addr {
		if body[0] == unix.AF_INET {
			return netip.AddrFrom4([4]byte(body[at:]))
		}
		return netip.AddrFrom16([16]byte(body[at:]))
	}
	s.at, s.state = netip.AddrPortFrom(addr(8), binary.BigEndian.Uint16(body[4:])), body[1]
	s.peer = netip.AddrPortFrom(addr(24).Unmap(), binary.BigEndian.Uint16(body[6:]))
	s.cookie = order.Uint64(body[44:])
	s.unread, s.unsent, s.inode = order.Uint32(body[56:]), order.Uint32(body[60:]), order.Uint32(body[68:])
	if s.state == closeWait && s.unread > 0 {
		s.unread-- // the client's FIN, which counts until it is read
	}
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
