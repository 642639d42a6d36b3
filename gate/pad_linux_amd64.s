#include "go_asm.h"
#include "textflag.h"

// Offsets from the kernel's ABI.
//
// siginfo_t (include/uapi/asm-generic/siginfo.h): si_code, si_perf_data.
#define si_code 8
#define si_pid 16
#define si_perf_data 24
// struct ucontext (arch/x86/include/uapi/asm/ucontext.h and sigcontext.h): the
// saved registers, and the pointer to the saved FPU state.
#define uc_r12     72
#define uc_rip     168
#define uc_eflags  176
#define uc_fpstate 224
// struct _fpx_sw_bytes at byte 464 of the FPU state: it is the kernel's own and
// not part of what PTRACE_GETREGSET gave the agent in the same place.
#define fx_sw         464
#define fx_sw_size    (464 + 16) // xstate_size
#define fx_xsave      512        // the XSAVE header follows the legacy region

#define flagTF 0x100

// func padEntry() uintptr
TEXT ·padEntry(SB), NOSPLIT, $0-8
	LEAQ ·pad(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// pad is the action for SIGTRAP while an agent may trace threads: the landing
// pad. A tracer takes every SIGTRAP before it gets here, so whatever gets here
// was either on its way when the tracer died or has nothing to do with one.
//
// It is called by the kernel, on the signal stack, with the C calling
// convention: DI signal, SI *siginfo, DX *ucontext. There is no g, no Go stack
// and nothing of the runtime may be used. To return is enough: the kernel
// restores the registers from the ucontext. For signals that are not ours it
// jumps to the runtime's own handler as if that had been called: DI, SI, DX, SP
// and the callee-saved registers are as they came.
TEXT ·pad(SB), NOSPLIT|NOFRAME, $0
	// A breakpoint that bears the agent's mark is ours whatever the thread's slot
	// says. An agent that is stopped while it sets the breakpoints of a thread
	// that is offered holds up nobody: the service takes its offer back and frees
	// the slot, and the thread serves other requests, with the breakpoints.
	CMPL si_code(SI), $6 // TRAP_PERF
	JNE  unmarked
	MOVQ si_perf_data(SI), AX
	MOVQ $const_perfMark, CX
	CMPQ AX, CX
	JEQ  done

unmarked:
	MOVQ DI, R8 // across the system call, which keeps all but AX, CX, R11
	MOVQ SI, R9
	MOVQ DX, R10
	MOVL $186, AX // gettid(2)
	SYSCALL

	// Ours only on a thread that is offered, running or done: look for its
	// slot. R11: the slot, CX: its index.
	LEAQ ·theBoard+board_slots(SB), R11
	XORL CX, CX

next:
	CMPL slot_tid(R11), AX
	JNE  skip
	CMPL slot_state(R11), $const_slotFree
	JNE  ours

skip:
	ADDQ $slot__size, R11
	INCL CX
	CMPL CX, $const_numSlots
	JLT  next
	JMP  theirs

ours:
	IMULQ $journal__size, CX
	LEAQ ·journals(SB), R11 // from here on: the slot's journal
	ADDQ CX, R11
	MOVL si_code(R9), AX
	CMPL AX, $1   // TRAP_BRKPT: a single-step behind a system call
	JEQ  step
	CMPL AX, $2   // TRAP_TRACE: a single-step
	JEQ  step
	CMPL AX, $4   // TRAP_HWBKPT
	JEQ  done
	CMPL AX, $6   // TRAP_PERF: a breakpoint
	JEQ  done
	TESTL AX, AX   // SI_USER
	JEQ  sent
	CMPL AX, $0x80 // SI_KERNEL: an INT3
	JNE  theirs

	// An INT3 of the debug-call protocol, made by an agent that is gone? RIP
	// is behind it, in one of the ranges (start, end]. Or that of trap?
	MOVQ uc_rip(R10), AX
	LEAQ ·trap+1(SB), DI
	CMPQ AX, DI
	JEQ  done
	LEAQ ·theBoard+board_callText(SB), DI
	MOVL $const_numCallTexts, SI

range:
	CMPQ AX, 0(DI)
	JLS  outside
	CMPQ AX, 8(DI)
	JLS  protocol

outside:
	ADDQ $16, DI
	DECL SI
	JNZ  range
	JMP  theirs

protocol:
	// At R12 == 16 the debugger is to restore the registers. debugCallV2 pops
	// the general ones itself; the FPU state and the flags are in the journal.
	CMPQ uc_r12(R10), $16
	JNE  done
	MOVQ journal_n(R11), CX
	TESTQ CX, CX
	JEQ  done // no journal: no freeze was begun
	CMPQ CX, $const_maxXState
	JHI  done

	// The instructions that return from debugCallV2 move SP with an ADDQ,
	// which changes the flags: step through them, to set the flags at pc.
	MOVQ $1, AX
	MOVQ AX, journal_homing(R11)
	MOVQ journal_flags(R11), AX
	ORQ  $flagTF, AX
	MOVQ AX, uc_eflags(R10)

	// The FPU state, but for what the kernel keeps in the middle of it, and
	// for what the frame has no room for.
	MOVQ uc_fpstate(R10), DX
	TESTQ DX, DX
	JEQ  done
	MOVL fx_sw_size(DX), AX
	CMPQ CX, AX
	JLS  fits
	MOVQ AX, CX

fits:
	SUBQ $fx_xsave, CX
	JLS  done
	LEAQ (fx_xsave+journal_state)(R11), SI
	LEAQ fx_xsave(DX), DI
	CLD
	REP; MOVSB
	LEAQ journal_state(R11), SI
	MOVQ DX, DI
	MOVQ $fx_sw, CX
	REP; MOVSB

done:
	RET

step:
	MOVQ journal_homing(R11), AX
	TESTQ AX, AX
	JEQ  untrace
	MOVQ uc_rip(R10), AX
	CMPQ AX, journal_pc(R11)
	JEQ  home
	ORQ  $flagTF, uc_eflags(R10) // not there yet
	RET

home:
	MOVQ journal_flags(R11), AX
	MOVQ AX, uc_eflags(R10)
	MOVQ $0, AX
	MOVQ AX, journal_homing(R11)
	RET

untrace:
	ANDQ $~flagTF, uc_eflags(R10)
	RET

sent:
	// As if this process had sent it to itself: so the kernel signals the end of
	// a single-step over an instruction with a uprobe (arch/x86/kernel/uprobes.c,
	// send_sig to current). DX is free here, R11 is not across a system call.
	MOVQ R11, DX
	MOVQ $39, AX // getpid(2)
	SYSCALL
	MOVQ DX, R11
	CMPL AX, si_pid(R9)
	JEQ  step

theirs:
	MOVQ R8, DI
	MOVQ R9, SI
	MOVQ R10, DX
	MOVQ ·runtimeTrap(SB), AX
	JMP  AX
