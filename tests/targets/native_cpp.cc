/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C++ program that knows its stack, to be built with -O2 -fomit-frame-pointer, for argv[1] seconds: main, work::Worker<int>::turn,
 * and from there either work::burn, or work::thrown in which an exception is handled. With a lambda and functions that are inlined.
 */
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#define FUNCTION __attribute__((noinline, noclone))

static volatile std::uint64_t sink;

namespace work
{

static inline std::uint64_t mixed(std::uint64_t x)
{
	return x * 6364136223846793005u + 1442695040888963407u;
}

FUNCTION std::uint64_t burn(std::uint64_t x)
{
	for (int i = 0; i < 2000000; i++)
		x = mixed(x);
	sink = x;
	return x;
}

FUNCTION std::uint64_t thrown(std::uint64_t x)
{
	try {
		if (burn(x) != 0)
			throw std::runtime_error("as meant");
	} catch (const std::exception &) {
		return burn(x + 1) + 1;
	}
	return x;
}

template <typename T> class Worker
{
      public:
	FUNCTION T turn(std::uint64_t x)
	{
		auto both = [](std::uint64_t y) __attribute__((noinline))
		{
			return burn(y) + thrown(y);
		};

		return static_cast<T>(both(x) + 1);
	}
};

} // namespace work

int main(int argc, char **argv)
{
	const auto end = std::chrono::steady_clock::now() +
			 std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 10);
	work::Worker<int> worker;
	std::uint64_t x = 1;

	while (std::chrono::steady_clock::now() < end)
		x += static_cast<std::uint64_t>(worker.turn(x)) + 1;
	return 0;
}
