/* SPDX-License-Identifier: Apache-2.0 */
/* C between Python functions: a library, built -O2 without frame pointers, whose functions call back. */
int through_one(int (*call)(int), int n);
int through_two(int (*call)(int), int n);
int through_three(int (*call)(int), int n);

/* Of each what comes back is used: no tail call. */
int through_one(int (*call)(int), int n)
{
	volatile char room[48];

	room[n & 15] = (char)n;
	return call(n + 1) + room[n & 15];
}

int through_two(int (*call)(int), int n)
{
	volatile char room[400];

	room[n & 15] = (char)n;
	return call(n + 1) - room[n & 15];
}

int through_three(int (*call)(int), int n)
{
	return call(n + 1) * 3;
}
