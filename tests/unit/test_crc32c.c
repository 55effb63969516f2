/* CRC-32C against the vectors of RFC 3720 B.4, and both ways against each
 * other. */
#include "common/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void knows_the_vectors(void **state)
{
	unsigned char data[32];

	(void)state;
	memset(data, 0, sizeof(data));
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x46dd794e);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_by_table(0, "123456789", 9), 0xe3069283);
}

static void both_ways_agree(void **state)
{
	unsigned char data[1000];

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)rand();
	for (size_t n = 0; n < 300; n++)
		assert_int_equal(crc32c(7, data + n % 9, n),
		    crc32c_by_table(7, data + n % 9, n));
}

static void can_be_extended(void **state)
{
	const char text[] = "one batch, one sync, many messages";
	uint32_t whole = crc32c(0, text, sizeof(text));

	(void)state;
	for (size_t cut = 0; cut <= sizeof(text); cut++)
		assert_int_equal(whole, crc32c(crc32c(0, text, cut), text + cut,
					    sizeof(text) - cut));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_vectors),
		cmocka_unit_test(both_ways_agree),
		cmocka_unit_test(can_be_extended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
