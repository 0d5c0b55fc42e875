package owner

import "strings"

// bech32 writes data in the form of BIP 173, which age uses for its keys and
// does not export. Only writing is needed: nobody gives us such a key.
func bech32(prefix string, data []byte) string {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	groups := fiveBits(data)
	// The checksum covers the prefix too: its upper bits, a zero, its lower bits.
	covered := make([]byte, 0, 2*len(prefix)+1+len(groups)+6)
	for i := range len(prefix) {
		covered = append(covered, prefix[i]>>5)
	}
	covered = append(covered, 0)
	for i := range len(prefix) {
		covered = append(covered, prefix[i]&31)
	}
	covered = append(covered, groups...)
	sum := bech32Polymod(append(covered, 0, 0, 0, 0, 0, 0)) ^ 1

	var text strings.Builder
	text.WriteString(prefix + "1")
	for _, group := range groups {
		text.WriteByte(charset[group])
	}
	for i := range 6 {
		text.WriteByte(charset[sum>>(5*(5-i))&31])
	}
	return text.String()
}

// fiveBits cuts bytes into groups of five bits, the last filled with zeros.
func fiveBits(data []byte) []byte {
	var groups []byte
	var bits, count uint
	for _, b := range data {
		bits, count = bits<<8|uint(b), count+8
		for count >= 5 {
			count -= 5
			groups = append(groups, byte(bits>>count&31))
		}
		bits &= 1<<count - 1
	}
	if count > 0 {
		groups = append(groups, byte(bits<<(5-count)&31))
	}
	return groups
}

// bech32Polymod is the checksum of BIP 173.
func bech32Polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	for _, value := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(value)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
