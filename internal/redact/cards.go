package redact

// cardAt finds the number of a payment card: 13 to 19 digits, perhaps in groups,
// of a known issuer and with a check digit that is right. next is where the
// digits end.
func cardAt(text []byte, i int) (s Span, next int, ok bool) {
	const most = 19
	var number [most]byte
	n, end := 0, i
	at := i
	for at < len(text) && at-i < 3*most {
		c := text[at]
		if c >= '0' && c <= '9' {
			if n == most {
				n++
				break
			}
			number[n] = c - '0'
			n++
			at++
			end = at
			continue
		}
		if (c == ' ' || c == '-') && at+1 < len(text) && text[at+1] >= '0' && text[at+1] <= '9' {
			at++
			continue
		}
		break
	}
	for at < len(text) && text[at] >= '0' && text[at] <= '9' { // more digits than any card has
		at++
	}
	if i > 0 && (wordChars[text[i-1]] && text[i-1] != '-') || n > most || n < 13 {
		return Span{}, at, false
	}
	return Span{i, end}, at, issuer(number[:n]) && Luhn(number[:n])
}

// issuer tells the beginnings and lengths that card networks give out.
func issuer(d []byte) bool {
	two, three, four := int(d[0])*10+int(d[1]), 0, 0
	three = two*10 + int(d[2])
	four = three*10 + int(d[3])
	switch n := len(d); {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case two == 36, two == 38, two == 39, three >= 300 && three <= 305:
		return n == 14 || n == 16 || n == 19
	case four == 6011, two == 65, three >= 644 && three <= 649, two == 35, two == 62:
		return n >= 16
	}
	return false
}

// Luhn tells whether the last of digits, each 0 to 9, is the check digit of the
// others (ISO/IEC 7812-1, annex B).
func Luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(digits) > 1 && sum%10 == 0
}
