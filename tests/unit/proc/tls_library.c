/* SPDX-License-Identifier: Apache-2.0 */
/* A library with a thread-local variable (VARIABLE, which is not the first of its block), and a function that says where the caller has it. */
#ifndef MORE
#define MORE 8
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)

static __thread char before[MORE];
#ifdef OWN
/* exported, but nobody else's can take its place: used without a symbol */
__attribute__((visibility("protected")))
#endif
__thread void *VARIABLE;

void *JOIN(VARIABLE, _where)(void);
void *JOIN(VARIABLE, _where)(void)
{
	before[0]++;
	return &VARIABLE;
}
