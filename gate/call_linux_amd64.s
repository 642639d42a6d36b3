#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// trap stops for the agent. It is a function of its own so that pad knows a
// signal of it by RIP, which the agent never sets to anything else: trap+1. The
// agent also sends a thread to another function by having this RET return to it.
TEXT ·trap(SB), NOSPLIT|NOFRAME, $0-0
	BYTE $0xcc
	RET

// func callFrame(why uintptr, kept *[numKept]unsafe.Pointer, value any)
//
// Called functions use the internal ABI: arguments in AX BX CX DI SI R8 R9 R10
// R11 and X0 to X14, and from 0(SP) up; DX: the closure; R14 and X15 are as the
// caller, Go code, left them. They keep none of the others.
TEXT ·callFrame(SB), 0, $2048-32
	NO_LOCAL_POINTERS
	MOVQ why+0(FP), R12
	MOVQ value_type+16(FP), AX
	MOVQ value_data+24(FP), BX

again:
	MOVQ kept+8(FP), DX
	XORL R13, R13 // if no agent takes the trap: no call
	CALL ·trap(SB)
	TESTQ R13, R13
	JEQ  over
	CALL R13
	MOVQ $const_callReturned, R12
	JMP  again

over:
	RET

// Offsets in runtime.g: of stack.hi, and of _panic, which "is known to liblink"
// (runtime/runtime2.go).
#define g_hi    8
#define g_panic 32

// func calls()
TEXT ·calls(SB), 0, $40-0
	NO_LOCAL_POINTERS
	MOVQ (TLS), CX
	MOVQ g_hi(CX), AX
	MOVQ SP, BX
	ADDQ $48, BX // the frame and the saved BP: the return address
	SUBQ BX, AX
	MOVQ AX, 0(SP)
	MOVQ $const_callsBegin, 8(SP)
	MOVQ $0, 16(SP)
	MOVQ $0, 24(SP)
	CALL ·serveCalls(SB)
	RET

// func escape(back uintptr)
//
// The records of panics that are left behind lie below the stack pointer then;
// the collector would look for them.
TEXT ·escape(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ (TLS), CX
	MOVQ g_hi(CX), AX
	SUBQ back+0(FP), AX
	MOVQ $0, g_panic(CX)
	MOVQ CX, R14
	XORPS X15, X15
	MOVQ AX, SP
	RET
