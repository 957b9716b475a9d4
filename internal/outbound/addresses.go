package outbound

import (
	"net/netip"
	"strings"
)

// kind is what may be behind an address. The larger one counts where an address is several.
type kind int

const (
	public   kind = iota
	private       // of this machine, its network or nobody: everything that is not routed on the Internet
	metadata      // link-local, or where a cloud tells a machine its credentials
)

var (
	metadataRanges = prefixes("169.254.0.0/16", "fe80::/10",
		"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", // Azure, Alibaba, Oracle
		"fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128") // AWS, Google, Scaleway
	// privateRanges are of IPv4, and of what is in 2000::/3. Whatever else is in IPv6 is not routed.
	privateRanges = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001:2::/48", "2001:10::/28", "2001:db8::/32", "3fff::/20")
	routed = netip.MustParsePrefix("2000::/3")

	// In these an IPv4 address is all there is to it.
	wrapped   = prefixes("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96") // compatible, mapped, translated, NAT64
	ownNAT64  = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")

	// metadataNames are for proxies, which resolve names where nobody here sees it.
	metadataNames = map[string]bool{"metadata.google.internal": true, "metadata.goog": true, "metadata": true, "instance-data": true, "instance-data.ec2.internal": true}
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func in(a netip.Addr, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// kindOf judges an address, and the IPv4 addresses that a gateway may make of it.
func kindOf(a netip.Addr) kind {
	a = a.WithZone("") // ranges contain no address with one
	worst := public
	switch {
	case in(a, metadataRanges):
		return metadata
	case in(a, privateRanges), a.Is6() && !routed.Contains(a) && !in(a, wrapped):
		worst = private
	}
	for _, inner := range embedded(a) {
		worst = max(worst, kindOf(inner))
	}
	return worst
}

// embedded are the IPv4 addresses inside an IPv6 address.
func embedded(a netip.Addr) (inner []netip.Addr) {
	if a.Is4() {
		return nil
	}
	b := a.As16()
	add := func(b0, b1, b2, b3 byte) { inner = append(inner, netip.AddrFrom4([4]byte{b0, b1, b2, b3})) }
	isatap := b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
	if isatap || in(a, wrapped) || ownNAT64.Contains(a) {
		add(b[12], b[13], b[14], b[15])
	}
	switch {
	case ownNAT64.Contains(a): // RFC 6052 has the address around bits 64 to 71 for a prefix of this length
		add(b[6], b[7], b[9], b[10])
	case sixToFour.Contains(a):
		add(b[2], b[3], b[4], b[5])
	case teredo.Contains(a): // its server, and its client with all bits turned
		add(b[4], b[5], b[6], b[7])
		add(^b[12], ^b[13], ^b[14], ^b[15])
	}
	return inner
}

// endsInNumber reports whether some resolvers read a host as an IPv4 address that is none as it is usually written: 2130706433,
// 0x7f.1, 0177.0.0.1.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, is := strings.CutPrefix(last, "0x"); is {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
