#include "textflag.h"

// func again()
TEXT ·again(SB), NOSPLIT|NOFRAME, $0-0
	JMP R13
